"""The report of an import: what was read, what was taken over, and each rejected row with its reason."""

import csv
import io

from dash import dcc, html

from dashboard.components.basics import aria, figures_table, notice
from twin_core.domain.imports import FileReport, ImportReport
from twin_core.services.records import ImportOutcome

MOST_ROWS_SHOWN = 500


def report_view(outcome: ImportOutcome) -> html.Div:
    """The outcome of one import, with a link to the person."""
    report = outcome.report
    sentence = (
        f"{report.rows_read:,} rows read: {report.accepted:,} accepted, {report.rejected:,} rejected. "
        f"{outcome.added.already_there:,} were already stored."
    )
    link = dcc.Link(f"Open {outcome.person.label}", href=f"/p/{outcome.person.person_id}/today")
    rows = [
        (file.name, f"{file.rows_read:,}", f"{file.accepted:,}", f"{len(file.rejected):,}") for file in report.files
    ]
    table = figures_table("Rows by file", ("File", "Read", "Accepted", "Rejected"), rows)
    whole = html.Button("Download every rejected row (CSV)", id="import-download", className="button", n_clicks=0)
    person = dcc.Store(id="import-person", data=outcome.person.person_id)
    parts = [notice([sentence, " ", link], "quiet"), table, html.Div(whole), person]
    return html.Div([*parts, *map(_rejections, report.files)], className="stack")


def rejected_rows_csv(report: ImportReport) -> str:
    """Every rejected row of a report, as CSV: file, row, reason, what was got."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("file", "row", "reason", "got"))
    for file in report.files:
        writer.writerows((file.name, row.row, row.reason.value, row.got) for row in file.rejected)
    return text.getvalue()


def _rejections(file: FileReport) -> html.Div:
    notes = [html.P(note, className="tiny muted") for note in file.notes]
    if not file.rejected:
        return html.Div(notes)
    reasons = [html.Li(f"{count:,} rows: {reason.value}") for reason, count in file.by_reason.items()]
    return html.Div(
        [html.H3(file.name), html.Ul(reasons, className="small"), *notes, _rows(file)], className="stack-tight"
    )


def _rows(file: FileReport) -> html.Details:
    shown = file.rejected[:MOST_ROWS_SHOWN]
    more = len(file.rejected) - len(shown)
    head = html.Thead(
        html.Tr([html.Th("Row", scope="col"), html.Th("Reason", scope="col"), html.Th("Got", scope="col")])
    )
    body = [html.Tr([html.Td(str(row.row)), html.Td(row.reason.value), html.Td(row.got)]) for row in shown]
    label = f"Rejected rows of {file.name}"
    table = html.Div(
        html.Table([head, html.Tbody(body)], className="figures"),
        className="table-scroll-tall",
        tabIndex=0,
        role="region",
        **aria(label=label),
    )
    rest = [html.P(f"and {more:,} more rows with the reasons above", className="tiny muted")] if more > 0 else []
    return html.Details([html.Summary(f"Show the rejected rows of {file.name}"), table, *rest])
