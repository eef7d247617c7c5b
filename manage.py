#!/usr/bin/env python3
"""Django's command line for this hub. `./weigh manage ...` runs it with the environment of the running hub."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
