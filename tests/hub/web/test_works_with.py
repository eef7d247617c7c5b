"""Works with my checkpoint: add-ons of the family that its tensors prove, and no word of checkpoints that a visitor may not see."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.hub.web.browsing import publish

pytestmark = pytest.mark.django_db
SD1 = {"family": "SD 1.x", "kind": "checkpoint"}


def shown(client: Client, address: str) -> list[str]:
    return sorted(card.name for card in client.get(address).context["page"].cards)


@pytest.fixture
def addons() -> None:
    publish("Fitting LoRA", "lora", detected={"family": "SD 1.x", "kind": "lora"})
    publish("Fitting VAE", "vae", detected={"family": "SD 1.x / SD 2.x", "kind": "vae"})
    publish("Large LoRA", "lora", base="SDXL 1.0", detected={"family": "SDXL", "kind": "lora"})
    publish("Silent LoRA", "lora")
    publish("Other checkpoint", detected=SD1)


@pytest.mark.usefixtures("addons")
def test_only_addons_of_its_family_are_shown(client: Client) -> None:
    version = publish("Mine", detected=SD1)
    assert shown(client, f"/?fits={version.pk}") == ["Fitting LoRA", "Fitting VAE"]
    assert shown(client, f"/?fits={version.pk}&kind=vae") == ["Fitting VAE"]
    page = client.get(f"/?fits={version.pk}")
    assert "Works with Mine v1" in page.content.decode()
    assert page.context["panel"].total == 2
    unclip = publish("Second", detected={"family": "SD 2.x unCLIP", "kind": "checkpoint"})
    assert shown(client, f"/?fits={unclip.pk}") == ["Fitting VAE"]


@pytest.mark.usefixtures("addons")
def test_checkpoint_is_chosen_by_its_name(client: Client) -> None:
    version = publish("Harbour Light", detected=SD1)
    publish("Harbour LoRA", "lora", detected={"family": "SD 1.x", "kind": "lora"})
    page = client.get("/works?q=HARBOUR")
    assert [one.version.pk for one in page.context["checkpoints"]] == [version.pk]
    assert f'href="/?fits={version.pk}"' in page.content.decode()
    assert "No checkpoint of this hub" in client.get("/works?q=zzz").content.decode()


@pytest.mark.usefixtures("addons")
def test_hidden_checkpoint_answers_as_none_at_all(client: Client, creator: Any) -> None:
    version = publish("Secret Garden", detected=SD1, owner=creator, visibility="private")
    hidden, missing = client.get(f"/?fits={version.pk}"), client.get("/?fits=99999999")
    assert hidden.context["filters"] == missing.context["filters"]
    assert "Secret Garden" not in hidden.content.decode()
    assert client.get("/works?q=secret").context["checkpoints"] == []
    client.force_login(creator)
    assert shown(client, f"/?fits={version.pk}") == ["Fitting LoRA", "Fitting VAE"]
    assert len(client.get("/works?q=secret").context["checkpoints"]) == 1


def test_nothing_that_works_with_it_says_why(client: Client) -> None:
    version = publish("Mine", detected=SD1)
    text = client.get(f"/?fits={version.pk}").content.decode()
    assert "Nothing here is known to work with it" in text


def test_choice_is_made_with_a_constant_number_of_queries(client: Client, django_assert_max_num_queries: Any) -> None:
    for number in range(12):
        publish(f"Lamp {number}", detected=SD1)
    with django_assert_max_num_queries(1):
        assert len(client.get("/works").context["checkpoints"]) == 12
