"""Where the files of a tree lie: the hub's own answer, which its pages show too."""

from hub.repopaths import assign, ordered

__all__ = ["assign", "ordered"]
