"""The model API keys of the developer that functions get."""

from pathlib import Path

import pytest

from local.parameters import model_api_keys


def test_only_keys_that_a_catalogue_names_and_that_are_set_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAMED_KEY", "k1")
    monkeypatch.setenv("OTHER_KEY", "k2")
    monkeypatch.setenv("EMPTY_KEY", "")
    catalogue = tmp_path / "models.toml"
    catalogue.write_text('a = "env:NAMED_KEY"\nb = "env:UNSET_KEY"\nc = "env:EMPTY_KEY"\n# OTHER_KEY\n')

    assert model_api_keys([catalogue]) == {"NAMED_KEY": "k1"}
