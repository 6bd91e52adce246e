"""The configuration of the linters of the template."""

import re

import yaml

from tests.conftest import ROOT


def test_every_skipped_check_has_a_reason():
    text = (ROOT / ".checkov.yaml").read_text()
    skipped = yaml.safe_load(text)["skip-check"]

    assert skipped
    assert [check for check in skipped if not re.search(rf"- {check} +# .{{30,}}", text)] == []
