"""The networks under which a client's address is counted and stored."""

import pytest

from parley.auth.client_origin import ClientOrigin


@pytest.mark.parametrize(
    ("address", "network", "region"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("unknown", "unknown", None),
    ],
)
def test_an_address_is_counted_with_its_customer_and_stored_with_its_region(address, network, region):
    origin = ClientOrigin(address)

    assert (origin.network, origin.region) == (network, region)
