"""Processes that read hostile bytes: started with a few open descriptors, locked in for good, heard with suspicion, killed in time.

`parent.run_child` starts one; `child` is what it finds there; `locks` and `filters` close its doors. Linux; the standard library alone.
"""
