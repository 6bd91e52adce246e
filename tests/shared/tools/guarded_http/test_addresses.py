from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.tools.guarded_http.egress_filter import is_public


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:829::200e", "64:ff9b::8.8.8.8"]
)
def test_internet_hosts_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost",
        "127.0.0.1/8",
        "2002:5db8:d822::1",
        "2001:0:5db8:d822::1",
        "ff0e::1",
        "2606:4700:4700::1111%eth0",
        "168.63.129.16",
        "192.88.99.1",
    ],
)
def test_addresses_that_are_not_plainly_public_are_refused(address):
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_an_embedded_address_is_only_public_if_it_is_public_by_itself(address: IPv4Address):
    packed = int(address)
    carried = [IPv6Address((0xFFFF << 32) | packed), IPv6Address(packed), IPv6Address((0x2002 << 112) | (packed << 80))]

    assert not any(is_public(str(one)) for one in carried)
    assert is_public(str(IPv6Address((0x64FF9B << 96) | packed))) == is_public(str(address))


@given(st.ip_addresses(v=4, network="127.0.0.0/8") | st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=6, network="fc00::/7"))
def test_no_address_of_a_closed_network_is_public(address):
    assert not is_public(str(address))
