"""The Hugging Face Hub protocol: entries as repositories, versions as branches, for unmodified huggingface_hub, diffusers, transformers."""
