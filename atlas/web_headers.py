"""Headers that guard the pages of the web atlas in a browser."""

from flask import Request, Response

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
    "magnetometer=(), microphone=(), midi=(), payment=(), usb=()",
}
CLOSED_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"  # of what is no page
HTTPS_ONLY = "max-age=31536000"
EMBEDDED = "/embed/"


def guard(response: Response, request: Request) -> None:
    """Put the headers on a response; what a document says itself stands.

    Pages to be shown inside pages of other sites say so in their own policy, and carry nothing that forbids it.
    """
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", CLOSED_POLICY)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", HTTPS_ONLY)
    # What is known already (304) has its headers renewed in the browser, so it counts as the page itself.
    if request.path.startswith(EMBEDDED) and response.status_code in (200, 304):
        del response.headers["X-Frame-Options"]
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
