"""What a request proves who it is with. Apart from the table: policies read it without that."""

from typing import Final

CREDENTIALS: Final = (
    "api-key", "apikey", "authorization", "cookie", "ocp-apim-subscription-key",
    "proxy-authorization", "x-access-token", "x-amz-security-token", "x-api-key", "x-api-token",
    "x-auth-token", "x-functions-key", "x-goog-api-key",
)  # fmt: skip
"""Request fields, in lower case, in which clients usually send what proves who they are."""
