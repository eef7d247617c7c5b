"""Add-ons by their role: which reader a file of a job goes to. Each reader is a module of its own."""

from __future__ import annotations

from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from inference.diffusion.embedding import Embedding, load_embedding
from inference.diffusion.hypernetwork import Hypernetwork, load_hypernetwork
from inference.diffusion.jobs import EMBEDDING, HYPERNETWORK, LORA, VAE, JobFile
from inference.diffusion.loading import Model, load_vae
from inference.diffusion.lora import Patch, load_lora
from inference.diffusion.patching import applied
from inference.diffusion.weightfile import WeightFile
from registry.formats.errors import FormatError

__all__ = ["Embedding", "Hypernetwork", "Patch", "applied", "load_addon", "load_embedding", "load_hypernetwork", "load_lora"]


def load_addon(file: JobFile, weights: WeightFile, model: Model) -> Patch | Hypernetwork | Embedding | AutoencoderKL:
    """What the file is to the model: a Patch or Hypernetwork for `applied`, an Embedding for the prompts, or a VAE in place of its own.

    Raises FormatError `render:...` for what does not fit the model, and for a role that is no add-on's.
    """
    if file.role == LORA:
        return load_lora(weights, model)
    if file.role == EMBEDDING:
        return load_embedding(weights, file.name, model)
    if file.role == HYPERNETWORK:
        return load_hypernetwork(weights, model)
    if file.role == VAE:
        return load_vae(weights, model)
    raise FormatError("render:role", "A second checkpoint cannot be put on the first.")
