"""Tables in, matplotlib figures out: style, sizes for journals, steps and phases on an axis. Never torch."""
