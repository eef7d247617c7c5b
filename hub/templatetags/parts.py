"""What a file shares with other files of the hub, for its page. The answer is `registry.components`'; this only finds the words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template
from django.utils.translation import gettext_lazy

from hub.web.site import cap_of
from registry import components
from registry.components import Shared
from registry.models import File

register = template.Library()
NAMES = {
    "unet": gettext_lazy("Diffusion model (UNet)"),
    "vae": gettext_lazy("VAE"),
    "te": gettext_lazy("Text encoder"),
    components.WHOLE: gettext_lazy("All tensors"),
}


@dataclass(frozen=True, slots=True)
class ShownParts:
    """`of` is the file that was compared: the page's own, or the twin of a pickle."""

    of: File
    rows: list[tuple[str, Shared]]


@register.simple_tag(takes_context=True)
def parts_of(context: dict[str, Any], file: File) -> ShownParts | None:
    """The parts of a file in the order of the page; None where no digests are known or it has no parts that are known by name."""
    compared = components.digested(file)
    if compared is None:
        return None
    user = context["request"].user
    rows = [(str(NAMES[shared.part]), shared) for shared in components.shared_parts(user, compared, cap_of(user))]
    return ShownParts(compared, rows) if rows else None
