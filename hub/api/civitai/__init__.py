"""The Civitai v1 contract: its names, its shapes, its quirks. The domain has never heard of it."""
