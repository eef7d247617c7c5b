"""The embedded default of the hub: what `./weigh` runs to install, start, stop and test everything on one machine.
Nothing here is imported by the web site or the workers, and no module imports Django."""
