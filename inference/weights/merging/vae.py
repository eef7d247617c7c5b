"""Which tensors of a VAE file take the place of which tensors of a checkpoint. Names and shapes only."""

from __future__ import annotations

from inference.weights.merging.inputs import check_number
from registry.formats.directory import TensorDirectory, TensorEntry
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.identify.keys import unwrap

PREFIX = "first_stage_model."
IGNORED = frozenset({"model_ema.decay", "model_ema.num_updates"})
"""With everything that begins with "loss": what A1111 (sd_vae.py `load_vae_dict`) leaves out."""


def vae_tensors(directory: TensorDirectory, model: dict[str, TensorEntry]) -> dict[str, TensorEntry]:
    """Name in the checkpoint -> the VAE's tensor, for every name that the checkpoint has.

    The file may be an autoencoder alone, with or without its prefix, or a whole checkpoint. Raises FormatError `merge:vae` where
    nothing fits or a shape differs (a VAE of another family), and `merge:quantised`.
    """
    tensors = unwrap(directory).tensors
    if any(name.startswith(PREFIX) for name in tensors):
        tensors = {name.removeprefix(PREFIX): entry for name, entry in tensors.items() if name.startswith(PREFIX)}
    found: dict[str, TensorEntry] = {}
    for name, entry in tensors.items():
        target = model.get(PREFIX + name)
        if target is None or name.startswith("loss") or name in IGNORED:
            continue
        check_number("vae", name, entry)
        if target.shape != entry.shape:
            sentence = (
                f"The VAE's {printable(name)} is {list(entry.shape)} where model A's is {list(target.shape)}: it belongs to another family "
                "of models. Choose a VAE for this one."
            )
            raise FormatError("merge:vae", sentence, where=printable(name))
        found[PREFIX + name] = entry
    if not found:
        raise FormatError(
            "merge:vae",
            "Nothing in the VAE file has the name of a tensor of model A's autoencoder. Use a VAE in the original (not diffusers) form.",
        )
    return found
