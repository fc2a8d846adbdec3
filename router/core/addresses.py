"""Addresses the router never connects to, whoever names them.

Apart from the policy, since a worker asks too: it resolves names, and has no use for the models.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

METADATA_ADDRESSES: Final = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google Cloud and most others
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure's wire server
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::254",  # AWS over IPv6
    )
)
"""Addresses under which clouds serve credentials."""


def refusal(address: IPv4Address | IPv6Address) -> str | None:
    """Why the router never connects to `address`, or None when it may.

    Asked again for every address a host name resolves to, since a name can be pointed elsewhere
    after the policy was checked (DNS rebinding).
    """
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return refusal(address.ipv4_mapped) or "an IPv4 address in IPv6 clothes"
    if address in METADATA_ADDRESSES:
        return "a cloud's metadata service"
    if address.is_link_local:
        return "a link-local address"
    if address.is_unspecified or address.is_multicast:
        return "not the address of one host"
    if address == IPv4Address("255.255.255.255"):
        return "the broadcast address"
    return None
