"""The subcommands of `interp`, one a file; what is heavy is imported when a command runs."""
