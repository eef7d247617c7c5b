"""How a file of this hub gets into other programs: commands and settings to copy, and the folder that each program looks in.

Plain text from plain values: it asks no database and knows no page. Names are strangers' words, so every one is quoted for the POSIX
shells; `$WEIGH_TOKEN` stands for a token where the model is not public, and never a token itself.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from hub.snippets import Usage, fetching_lines, literal, python_lines
from registry.names import stem_of

VARIABLE = "WEIGH_TOKEN"
FOLDERS = {
    "checkpoint": ("models/Stable-diffusion", "models/checkpoints", "Models/Stable-Diffusion"),
    "lora": ("models/Lora", "models/loras", "Models/Lora"),
    "embedding": ("embeddings", "models/embeddings", "Models/Embeddings"),
    "hypernetwork": ("models/hypernetworks", "models/hypernetworks", ""),
    "vae": ("models/VAE", "models/vae", "Models/VAE"),
    "controlnet": ("models/ControlNet", "models/controlnet", "Models/controlnet"),
    "upscaler": ("models/ESRGAN", "models/upscale_models", ""),
    "unet": ("", "models/diffusion_models", "Models/diffusion_models"),
}
"""Kind -> folder in A1111 and Forge, in ComfyUI, in SwarmUI; "" where a program has none for it. As ComfyUI's
`extra_model_paths.yaml.example`, SwarmUI's settings and StabilityMatrix's package files name them."""


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
    """What is said of one program: where the file goes, what to run or to paste, and what else must be known."""

    name: str
    folder: str = ""
    commands: list[Command] = field(default_factory=list)
    note: str = ""


def programs(wanted: Wanted) -> list[Program]:
    """Every program that can take this kind of file, the plain ones first."""
    plain = [_curl(wanted), _wget(wanted), _aria2(wanted), _hf(wanted)]
    return [*plain, *_diffusers(wanted), *_comfyui(wanted), *_a1111(wanted), _invokeai(wanted), *_swarmui(wanted)]


def _curl(wanted: Wanted) -> Program:
    check = f"echo {shlex.quote(f'{wanted.sha256.lower()}  {wanted.name}')} | sha256sum --check"
    return Program("curl", commands=[Command(_curl_line(wanted)), Command(check, "Is it whole and unchanged?")], note=_token_note(wanted))


def _curl_line(wanted: Wanted, folder: str = "") -> str:
    """The header stays with this hub: curl does not send it on where the download leads to another host."""
    header = f'-H "Authorization: Bearer ${VARIABLE}" ' if wanted.private else ""
    return f"curl -fL -C - {header}-o {shlex.quote(_in(folder, wanted.name))} {shlex.quote(wanted.address)}"


def _wget(wanted: Wanted) -> Program:
    return Program("wget", commands=[Command(f"wget -c -O {shlex.quote(_in('', wanted.name))} {_with_token(wanted)}")])


def _aria2(wanted: Wanted) -> Program:
    name, check = shlex.quote(f"--out={wanted.name}"), f"--checksum=sha-256={wanted.sha256.lower()}"
    about = "Eight connections at once; what arrives is compared with the hash."
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
    return Program("hf download", commands=[Command(line)], note="From huggingface_hub: pip install huggingface_hub.")


def _diffusers(wanted: Wanted) -> list[Program]:
    lines = python_lines(wanted.use) if wanted.use.path.endswith((".safetensors", ".sft")) else []
    note = "Set HF_ENDPOINT before anything is imported."
    if "https://huggingface.co/" in "".join(lines):
        note += " The huggingface.co address is right: diffusers takes no other, and asks the hub that HF_ENDPOINT names for it."
    start = ["import os", "", f'os.environ["HF_ENDPOINT"] = {literal(wanted.use.endpoint)}']
    if wanted.private:
        start.append(f'os.environ["HF_TOKEN"] = os.environ["{VARIABLE}"]')
    text = "\n".join([*start, "", *(lines or fetching_lines(wanted.use))])
    return [Program("diffusers" if lines else "Python", commands=[Command(text)], note=note)]


def _comfyui(wanted: Wanted) -> list[Program]:
    folder = _folder(wanted, 1)
    if not folder:
        return []
    options = f"--relative-path {folder} --filename {shlex.quote(wanted.name)}"
    commands = [
        Command(f"comfy model download {options} --url {_with_token(wanted)}", "With comfy-cli:"),
        Command(_curl_line(wanted, f"ComfyUI/{folder}"), "Or beside your ComfyUI folder:"),
    ]
    if wanted.use.kind == "embedding":
        commands.append(Command(f"embedding:{stem_of(wanted.name)}", "In a prompt:"))
    return [Program("ComfyUI", folder, commands, "Fooocus has the same folders.")]


def _a1111(wanted: Wanted) -> list[Program]:
    folder = _folder(wanted, 0)
    if not folder:
        return []
    commands = [Command(_curl_line(wanted, f"stable-diffusion-webui/{folder}"), "Beside your stable-diffusion-webui folder:")]
    prompt = prompt_words(wanted)
    return [Program("A1111 and Forge", folder, [*commands, *([Command(prompt, "In a prompt:")] if prompt else [])])]


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
    token = f"remote_api_tokens:\n  - url_regex: {_host(wanted.address)}\n    token: <your token>" if wanted.private else ""
    commands = [Command(wanted.address, "In the Model Manager, under Add Models, as URL:")]
    setting = "allow_private_download_urls: true" + (f"\n{token}" if token else "")
    commands.append(Command(setting, "In invokeai.yaml, where this hub is at home (localhost, 10.x, 192.168.x):"))
    return Program("InvokeAI", "kept by InvokeAI itself", commands)


def _swarmui(wanted: Wanted) -> list[Program]:
    folder = _folder(wanted, 2)
    if not folder:
        return []
    return [Program("SwarmUI", folder, [Command(_curl_line(wanted, f"SwarmUI/{folder}"), "Beside your SwarmUI folder:")])]


def _folder(wanted: Wanted, place: int) -> str:
    return FOLDERS.get(wanted.use.kind, ("", "", ""))[place]


def _in(folder: str, name: str) -> str:
    """A path that no program takes for an option."""
    return f"{folder}/{name}" if folder else f"./{name}" if name.startswith("-") else name


def _host(address: str) -> str:
    """As a regular expression."""
    return address.split("/")[2].replace(".", "\\.")


def _token_note(wanted: Wanted) -> str:
    return (
        f"{VARIABLE} holds a token of yours: make one under Tokens on your account page. This model is not public."
        if wanted.private
        else ""
    )
