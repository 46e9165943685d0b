"""Every answer that exchangelib gets is held against Microsoft's schema too; streams are left to other tests."""

from __future__ import annotations

from exchangelib.protocol import NoVerifyHTTPAdapter
from lxml import etree
from requests import PreparedRequest, Response
from tests.ews_schema import check_envelope

TAKEN = frozenset({200, 500})


class HeldAdapter(NoVerifyHTTPAdapter):
    """Raises AssertionError for an answer of EWS that is not valid."""

    def send(self, request: PreparedRequest, *how: object, **more: object) -> Response:
        """requests' own, which see."""
        answer: Response = super().send(request, *how, **more)
        is_ews = (request.url or "").lower().endswith("/ews/exchange.asmx") and request.method == "POST"
        if is_ews and answer.status_code in TAKEN and not more.get("stream"):
            parser = etree.XMLParser(huge_tree=True)  # attachments are large texts
            check_envelope(etree.fromstring(answer.content, parser), answer.status_code)
        return answer
