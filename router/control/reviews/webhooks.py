"""Whoever is told what became of a question: a POST of JSON, as hooks and alerts are told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from router.control.outside.outside import NO_ANSWER, outside_session, post

if TYPE_CHECKING:
    import aiohttp

    from router.control.reviews.book import StoredQuestion
    from router.core.policy.review import ReviewWebhook


class ReviewWebhooks:
    """The connections to all of them."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"<ReviewWebhooks {'open' if self._session else 'unused'}>"

    async def told(self, hook: ReviewWebhook, kept: StoredQuestion) -> bool:
        """Tell it of one outcome; whether it has answered 2xx."""
        self._session = self._session or outside_session()
        item = kept.item
        told = {
            "review": item.id, "request_id": item.request_id, "route": item.route,
            "version": item.version, "reason": item.reason, "state": kept.state,
            "answer": json.loads(kept.verdict) if kept.verdict else None, "ended": kept.ended,
        }  # fmt: skip
        headers = {name: value.get_secret_value() for name, value in hook.headers.items()}
        try:
            status = await post(
                self._session, hook.url.get_secret_value(), told, headers=headers,
                timeout_s=hook.timeout,
            )  # fmt: skip
        except NO_ANSWER:
            return False
        return 200 <= status < 300

    async def close(self) -> None:
        """Let go of them."""
        if self._session is not None:
            await self._session.close()
