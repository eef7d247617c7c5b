"""The site: how people and programs reach the registry. Settings, pages, protocols, and the table that ties the apps together.
This module imports nothing: `hub.services` runs before anything is installed."""
