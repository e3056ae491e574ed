"""`python -m interp` is `interp`."""

from interp.commands.cli import main

main()
