"""Receipts as the data plane gives them out."""

from router.core.wire.receipt import Seal


def sealed(receipt, secret, *, hidden=False):
    """The text of a receipt."""
    r = receipt
    seal = Seal(r.route, r.revision, r.weight_bp, secret, hidden=hidden)
    return seal.text(r.version, r.arm, r.issued, r.unit, r.nonce).decode()
