"""Whoever is told what workers say: it keeps all of it."""

from router.core.wire.reporter import WorkerId

WORKER = WorkerId("", 1, 0)


class Hearing:
    def __init__(self):
        self.reports = []
        self.events = []
        """(who, text): noticed, or gone."""

    def report(self, who, report):
        self.reports.append((who, report))

    pairs = sampled = traced = report

    def asked(self, asked, reply):
        self.reports.append((reply, asked))

    def noticed(self, who, text):
        self.events.append((who, text))

    gone = noticed

    @property
    def texts(self):
        return [text for _, text in self.events]
