"""Pictures from weights: loads what the scanner cleared, samples it with diffusers' schedulers, writes PNGs. Knows no database.
Only the render child imports the modules here that load torch; those that say so are free of it and serve every process."""
