"""What two other scanners say of a file's pickles, each asked in a locked process of its own (`asking.ask`).

They are asked after our own verdict is known, and nothing here changes it: `scanner.weighing` does, and only for the worse.
This module imports nothing, because the locked processes load it.
"""
