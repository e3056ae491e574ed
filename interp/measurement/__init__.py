"""The door between the wings: a run and probes in, tidy tables out."""
