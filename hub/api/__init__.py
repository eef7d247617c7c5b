"""The doors for programs: one folder a protocol, each with its own names; only bearer tokens and error shapes are shared."""
