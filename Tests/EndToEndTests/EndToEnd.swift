import Testing

/// One after the other: each has processes of its own, and many of them measure how soon something happens.
@Suite(.serialized) struct EndToEnd {}

/// Those that mostly wait for deadlines and heartbeats, beside the others.
@Suite(.serialized) struct Faults {}
