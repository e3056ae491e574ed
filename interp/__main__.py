"""`python -m interp` is `interp`."""

from interp.cli import main

main()
