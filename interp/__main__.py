"""`interp`, and `python -m interp`: what loads is loaded inside, so that Ctrl-C meanwhile ends in a sentence too."""

from interp.ground.stopping import told_when_stopped


def main() -> None:
    """Run the command line."""
    with told_when_stopped("interp"):
        from interp.commands.cli import main as command_line

        command_line()


if __name__ == "__main__":
    main()
