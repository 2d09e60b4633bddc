"""The settings: what a mistyped environment says, and what is understood in more than one spelling."""

import pytest
from pydantic import ValidationError

from common.settings import Settings


@pytest.mark.parametrize("address", ["https://api.fortnox.se", "https://api.fortnox.se/", "https://api.fortnox.se/3"])
def test_the_api_address_is_the_same_with_or_without_its_version(address: str) -> None:
    assert Settings(fortnox_api_url=address).fortnox_api_url == "https://api.fortnox.se"


@pytest.mark.parametrize(
    "address",
    ["https://apps.fortnox.se", "https://apps.fortnox.se/oauth-v1", "https://apps.fortnox.se/oauth-v1/token"],
)
def test_the_token_address_is_understood_with_and_without_its_path(address: str) -> None:
    assert Settings(fortnox_auth_url=address).fortnox_auth_url == "https://apps.fortnox.se/oauth-v1"


def test_an_address_without_its_scheme_is_refused_with_what_to_write() -> None:
    with pytest.raises(ValidationError, match="beginning with https"):
        Settings(fortnox_api_url="127.0.0.1:8150")


def test_an_empty_address_of_redis_or_of_the_database_means_the_embedded_one() -> None:
    settings = Settings.model_validate({"redis_url": "", "database_url": ""})
    assert settings.redis_url is None
    assert settings.database_url is None


@pytest.mark.parametrize(("client_id", "secret", "given"), [("a", "b", True), ("", "b", False), ("a", "", False)])
def test_credentials_are_given_only_when_both_are(client_id: str, secret: str, given: bool) -> None:
    settings = Settings.model_validate({"fortnox_client_id": client_id, "fortnox_client_secret": secret})
    assert settings.has_credentials is given
