"""How often the bands held: what stands next to every band."""

from twin_core.services.today import BandCoverage

UNKNOWN = "How often the intervals held is not known yet: there is too little of the record to look back on."
MEANING = "The bands are the uncertainty about this person's glucose, sensor noise included."


def coverage_sentence(coverage: BandCoverage | None) -> str:
    """What the 50 and 90 % bands held of the last 14 days, or that it is not known."""
    if coverage is None:
        return UNKNOWN
    return (
        f"Looking back over {coverage.days:.0f} days at 60 min ahead, the 50 % interval held "
        f"{100 * coverage.share_50:.0f} % and the 90 % interval {100 * coverage.share_90:.0f} % of {coverage.count:,} "
        f"readings. {MEANING}"
    )
