"""The review queue in a file: who gets which question, and what became of it."""

import pytest

from router.control.reviews.questions import FileQuestions
from tests.control.reviews.questions_contract import QuestionsContract


class TestFile(QuestionsContract):
    @pytest.fixture
    async def opened(self, tmp_path):
        made = []

        async def build():
            made.append(FileQuestions(tmp_path / "reviews"))
            return made[-1]

        yield build
        for one in made:
            await one.close()
