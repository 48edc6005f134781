"""The page of a validation and its JSON: the model against published figures."""

from typing import Any

from flask import Blueprint, Response, current_app, request

from atlas.answer_tables import VALIDATION_COLUMNS, validation_table
from atlas.render import environment
from atlas.render_validation import page_parts
from atlas.validation import Validation, validate
from atlas.web_answers import Document
from atlas.web_formats import csv_document, json_document
from atlas.web_pages import html_document, nav
from atlas.web_query import Query, parameters

accuracy = Blueprint("accuracy", __name__)


@accuracy.get("/validate")
def validate_page() -> Response:
    """Show how wrong the model is, figure by figure."""
    atlas = _atlas()
    parameters(request, (), atlas.settings)

    def make() -> Document:
        parts = page_parts(_validation())
        template = environment().get_template("validate.html")
        return html_document(template.render(nav=nav("/validate"), base=atlas.assets.base, v=parts))

    return atlas.send(atlas.answers.documents.get("/validate", make))


@accuracy.get("/api/validate")
def validate_json() -> Response:
    """Return what `atlas validate --json` prints."""
    atlas = _atlas()
    parameters(request, (), atlas.settings)

    return atlas.send(atlas.answers.documents.get("/api/validate", lambda: json_document(_validation().to_json())))


@accuracy.get("/api/validate.csv")
def validate_csv() -> Response:
    """Return the published figures beside the model's as a table."""
    atlas = _atlas()
    parameters(request, (), atlas.settings)

    def make() -> Document:
        return csv_document(validation_table(_validation().to_json()), "validate", VALIDATION_COLUMNS)

    return atlas.send(atlas.answers.documents.get("/api/validate.csv", make))


def _atlas() -> Any:
    """Return what the application holds: study, settings, answers, assets, send."""
    return current_app.extensions["atlas"]


def _validation() -> Validation:
    """Return the validation of the baseline, which waits for its place like every other answer."""
    atlas = _atlas()
    question = atlas.answers.question(Query())
    with atlas.timed("solve"):
        atlas.answers.outcome(question, "us-allies", request.remote_addr or "")
    with atlas.timed("compare"):
        return validate(atlas.study)
