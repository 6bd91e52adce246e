"""No spelling of an internal address lets a tool reach it."""

import pytest

from parley.tools.guarded_http.client import GuardedHttp
from parley.tools.guarded_http.errors import AddressRefused, FetchFailed

# Every spelling means 127.0.0.1 to some parser; the canary listens there.
LOOPBACK = [
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}",
    "HTTP://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/?q=https://example.com/",
    "http://127.0.0.1:{port}#@example.com/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://2130706433:{port}/",
    "http://2130706433.:{port}/",
    "http://0x7f000001:{port}/",
    "http://0X7F000001:{port}/",
    "http://0x7f.0x0.0x0.0x1:{port}/",
    "http://0x7f.1:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.0.0.01:{port}/",
    "http://0000177.0000.0000.0001:{port}/",
    "http://127.0x0.0.1:{port}/",
    "http://127.000.000.001:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0x0:{port}/",
    "http://00.0.0.0:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://LocalHost.:{port}/",
    "http://localhost.localdomain:{port}/",
    "http://ip6-localhost:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[0000::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::FFFF:7F00:0001]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:7f00:1::80ff:fffe]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://example.com:80@127.0.0.1:{port}/",
    "http://example.com%2F@127.0.0.1:{port}/",
    "http://:@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@example.com:0/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://１２７.０.０.１:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127．0．0．1:{port}/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/",
    "http://١٢٧.٠.٠.١:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1%00.example.com:{port}/",
    "http://127.0.0.1\\@example.com:{port}/",
    "http://example.com\\@127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:////127.0.0.1:{port}/",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\t/",
    "http://127.0.0.1:{port}/\r\nHost: example.com",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
    "",
]
SCHEMES = [
    "file:///etc/passwd",
    "FILE://localhost/etc/passwd",
    "gopher://127.0.0.1:{port}/_GET%20/",
    "ftp://127.0.0.1:{port}/",
    "dict://127.0.0.1:{port}/info",
    "ldap://127.0.0.1:{port}/",
    "ws://127.0.0.1:{port}/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "jar:http://127.0.0.1:{port}!/",
    "data:text/plain,hello",
    "javascript:alert(1)",
]
INSIDE = [
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://0251.0376.0251.0376/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://169.254.170.2/v2/credentials/",
    "http://169.254.170.23/v1/credentials",
    "http://169.254.100.1:9001/2018-06-01/runtime/invocation/next",
    "http://127.0.0.1:9001/2018-06-01/runtime/invocation/next",
    "http://100.100.100.200/latest/meta-data/",
    "http://168.63.129.16/metadata/",
    "http://192.0.0.192/latest/",
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://012.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.254/",
    "http://192.168.1.1/",
    "http://3232235777/",
    "http://100.64.0.1/",
    "http://100.127.255.254/",
    "http://198.18.0.1/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[fc00::1]/",
    "http://[fd12:3456:789a::1]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[64:ff9b::10.0.0.1]/",
]
FORMS = [*LOOPBACK, *SCHEMES, *INSIDE]


@pytest.mark.parametrize("form", INSIDE)
def test_an_internal_address_is_refused_and_not_tried(form):
    with pytest.raises(AddressRefused):
        GuardedHttp().get(form, timeout_s=1)


@pytest.mark.parametrize("form", [*LOOPBACK, *SCHEMES])
def test_no_spelling_of_an_internal_address_is_reached(canary, form):
    with pytest.raises(FetchFailed):
        GuardedHttp().get(form.replace("{port}", str(canary.port)), timeout_s=2)

    assert canary.hits == []


def test_there_are_at_least_eighty_spellings():
    assert len(set(FORMS)) >= 80
