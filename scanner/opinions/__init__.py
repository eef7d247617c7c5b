"""What two other scanners say of a file's pickles, each asked in a locked process of its own.

They are asked after our own verdict is known, and nothing here changes it: `scanner.weighing` does, and only for the worse.
"""

from scanner.opinions.asking import TIMEOUT, Opinion, ask

__all__ = ["TIMEOUT", "Opinion", "ask"]
