"""How a file of this hub gets into other programs: commands and settings to copy. The folders are `folders.py`'s table.

Plain text from plain values: it asks no database and knows no page. Names are strangers' words, so every one is quoted for the POSIX
shells; `$WEIGH_TOKEN` stands for a token where the model is not public, and never a token itself.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from hub.folders import NAMES, ROOTS, folder
from hub.snippets import Usage, fetching_lines, literal, python_lines
from registry.names import stem_of

VARIABLE = "WEIGH_TOKEN"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file. `address` downloads it, `path` is its place in the repository `use.repo`; `private`: a token is needed."""

    use: Usage
    name: str
    address: str
    sha256: str
    private: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """Text to copy, and what it is for."""

    text: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """What is said of one program: where the file goes, what to run or to paste, and what else must be known. `slug` names its tab."""

    name: str
    folder: str = ""
    commands: list[Command] = field(default_factory=list)
    note: str = ""
    slug: str = ""

    @property
    def above(self) -> str:
        """The folder that `folder` lies in, as its program calls it."""
        return ROOTS.get(self.slug, "")


def programs(wanted: Wanted) -> list[Program]:
    """What fetches a file for whoever works in a terminal or in Python."""
    return [_curl(wanted), _wget(wanted), _aria2(wanted), _hf(wanted), *_diffusers(wanted)]


def places(wanted: Wanted) -> list[Program]:
    """Every program that people make pictures with, in the order of the tabs: its folder for this kind, or that it has none."""
    return [_invokeai(wanted) if slug == "invokeai" else _place(slug, wanted) for slug in NAMES]


def _curl(wanted: Wanted) -> Program:
    check = f"echo {shlex.quote(f'{wanted.sha256.lower()}  {wanted.name}')} | sha256sum --check"
    return Program(
        "curl", commands=[Command(_curl_line(wanted)), Command(check, _("Is it whole and unchanged?"))], note=_token_note(wanted)
    )


def _curl_line(wanted: Wanted, folder: str = "") -> str:
    """The header stays with this hub: curl does not send it on where the download leads to another host."""
    header = f'-H "Authorization: Bearer ${VARIABLE}" ' if wanted.private else ""
    return f"curl -fL -C - {header}-o {shlex.quote(_in(folder, wanted.name))} {shlex.quote(wanted.address)}"


def _wget(wanted: Wanted) -> Program:
    return Program("wget", commands=[Command(f"wget -c -O {shlex.quote(_in('', wanted.name))} {_with_token(wanted)}")])


def _aria2(wanted: Wanted) -> Program:
    name, check = shlex.quote(f"--out={wanted.name}"), f"--checksum=sha-256={wanted.sha256.lower()}"
    about = _("Eight connections at once; what arrives is compared with the hash.")
    return Program("aria2c", commands=[Command(f"aria2c -c -x 8 -s 8 {check} {name} {_with_token(wanted)}", about)])


def _with_token(wanted: Wanted) -> str:
    """The address as one word of a shell. In it a token goes to this hub alone: wget and aria2c send headers on wherever they are led."""
    if not wanted.private:
        return shlex.quote(wanted.address)
    joint = "&" if "?" in wanted.address else "?"
    return f'{shlex.quote(f"{wanted.address}{joint}token=")}"${VARIABLE}"'


def _hf(wanted: Wanted) -> Program:
    use, token = wanted.use, f'HF_TOKEN="${VARIABLE}" ' if wanted.private else ""
    last = "-- " if use.path.startswith("-") else ""  # else it would be read as an option
    place = f"--revision {shlex.quote(use.revision)} --local-dir . {last}{shlex.quote(use.repo)} {shlex.quote(use.path)}"
    line = f"{token}HF_ENDPOINT={shlex.quote(use.endpoint)} hf download {place}"
    return Program("hf download", commands=[Command(line)], note=_("From huggingface_hub: pip install huggingface_hub."))


def _diffusers(wanted: Wanted) -> list[Program]:
    lines = python_lines(wanted.use) if wanted.use.path.endswith((".safetensors", ".sft")) else []
    note = _("Set HF_ENDPOINT before anything is imported.")
    if "https://huggingface.co/" in "".join(lines):
        asks = _("The huggingface.co address is right: diffusers takes no other, and asks the hub that HF_ENDPOINT names for it.")
        note = f"{note} {asks}"
    start = ["import os", "", f'os.environ["HF_ENDPOINT"] = {literal(wanted.use.endpoint)}']
    if wanted.private:
        start.append(f'os.environ["HF_TOKEN"] = os.environ["{VARIABLE}"]')
    text = "\n".join([*start, "", *(lines or fetching_lines(wanted.use))])
    return [Program("diffusers" if lines else "Python", commands=[Command(text)], note=note)]


def _place(slug: str, wanted: Wanted) -> Program:
    here = folder(slug, wanted.use.kind)
    if not here:
        return Program(NAMES[slug], note=_("%(program)s has no folder for files of this kind.") % {"program": NAMES[slug]}, slug=slug)
    line = Command(_curl_line(wanted, f"{ROOTS[slug]}/{here}"), _beside(slug))
    fetched = [line, *(_comfy_cli(here, wanted) if slug == "comfyui" else [])]
    spoken = spoken_in(slug, wanted)
    return Program(NAMES[slug], here, [*fetched, *([Command(spoken, _("In a prompt:"))] if spoken else [])], _hint(slug, wanted), slug)


def fetch_line(slug: str, wanted: Wanted) -> str:
    """One line that fetches a file into the folder of this program, or here where that has none."""
    here = folder(slug, wanted.use.kind)
    return _curl_line(wanted, f"{ROOTS[slug]}/{here}" if here else "")


def _beside(slug: str) -> str:
    if slug == "stabilitymatrix":
        return _("Beside the Data folder of a portable Stability Matrix; every program that it starts finds the file there:")
    return _("Beside your %(folder)s folder:") % {"folder": ROOTS[slug]}


def _comfy_cli(here: str, wanted: Wanted) -> list[Command]:
    options = f"--relative-path {here} --filename {shlex.quote(wanted.name)}"
    return [Command(f"comfy model download {options} --url {_with_token(wanted)}", _("Or with comfy-cli:"))]


def spoken_in(slug: str, wanted: Wanted) -> str:
    """What a prompt of this program says to call the file; "" where a prompt does not call it.

    In ComfyUI and Fooocus prompts call embeddings alone, in A1111, Forge, SwarmUI and Stability Matrix add-ons, too. `<embed:name>` is
    how SwarmUI's documentation writes it.
    """
    name, kind = stem_of(wanted.name), wanted.use.kind
    if kind == "embedding":
        return {"comfyui": f"embedding:{name}", "fooocus": f"(embedding:{name}:1.0)", "swarmui": f"<embed:{name}>"}.get(slug, name)
    return prompt_words(wanted) if slug in {"a1111", "forge", "swarmui", "stabilitymatrix"} else ""


def _hint(slug: str, wanted: Wanted) -> str:
    """What is clicked where no prompt calls the file."""
    kind = wanted.use.kind
    strength = {"strength": f"{1.0 if wanted.use.weight is None else wanted.use.weight:g}"}
    if slug == "comfyui":
        node = {
            "checkpoint": _("In a workflow: the node Load Checkpoint."),
            "lora": _("In a workflow: the node Load LoRA, strength %(strength)s.") % strength,
            "hypernetwork": _("In a workflow: the node HypernetworkLoader, strength %(strength)s.") % strength,
            "vae": _("In a workflow: the node Load VAE."),
            "controlnet": _("In a workflow: the node Load ControlNet Model."),
            "upscaler": _("In a workflow: the node Load Upscale Model."),
            "unet": _("In a workflow: the node Load Diffusion Model."),
            "text_encoder": _("In a workflow: the node Load CLIP."),
        }
        return node.get(kind, "")
    if slug == "fooocus" and kind == "lora":
        return _("Choose it under Advanced, Models, with weight %(strength)s.") % strength
    return ""


def prompt_words(wanted: Wanted) -> str:
    """How a prompt of A1111 calls an add-on: its file name without ending, its strength, its trigger words. "" for what needs no words."""
    use, name = wanted.use, stem_of(wanted.name)
    if use.kind == "embedding":
        return name
    kind = {"lora": "lora", "hypernetwork": "hypernet"}.get(use.kind)
    if kind is None:
        return ""
    strength = 1.0 if use.weight is None else use.weight
    return ", ".join([f"<{kind}:{name}:{strength:g}>", *use.words])


def _invokeai(wanted: Wanted) -> Program:
    """It fetches files itself, from public addresses alone unless it is told otherwise (`invokeai.yaml`)."""
    if wanted.use.kind == "hypernetwork":
        return Program("InvokeAI", note=_("InvokeAI does not load hypernetworks."), slug="invokeai")
    token = f"remote_api_tokens:\n  - url_regex: {_host(wanted.address)}\n    token: <your token>" if wanted.private else ""
    setting = "allow_private_download_urls: true" + (f"\n{token}" if token else "")
    commands = [
        Command(wanted.address, _("In the Model Manager, under Add Models, as URL:")),
        Command(setting, _("In invokeai.yaml, where this hub is at home (localhost, 10.x, 192.168.x):")),
    ]
    if wanted.use.kind == "embedding":
        commands.append(Command(f"<{stem_of(wanted.name)}>", _("In a prompt:")))
    return Program("InvokeAI", _("kept by InvokeAI itself"), commands, slug="invokeai")


def _in(folder: str, name: str) -> str:
    """A path that no program takes for an option."""
    return f"{folder}/{name}" if folder else f"./{name}" if name.startswith("-") else name


def _host(address: str) -> str:
    """As a regular expression."""
    return address.split("/")[2].replace(".", "\\.")


def _token_note(wanted: Wanted) -> str:
    if not wanted.private:
        return ""
    told = _("%(variable)s holds a token of yours: make one under Tokens on your account page. This model is not public.")
    return told % {"variable": VARIABLE}
