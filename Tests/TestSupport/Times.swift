/// How long something took, several times over.
///
/// A test of a time that is promised looks at the median: a machine that is out of breath is late now and then, a product
/// that is late is so most of the time. Whatever else has to hold, holds each time.
extension [Duration] {
    /// The one in the middle; nil of none.
    package var median: Duration? { isEmpty ? nil : sorted()[count / 2] }
}

/// The first of at most three times that is below `limit`, or else the shortest.
///
/// For a promised time whose measurement is dear: see `median`.
package func soonest(below limit: Duration, _ measure: @Sendable () async throws -> Duration) async throws -> Duration {
    var shortest = try await measure()
    for _ in 0..<2 where shortest >= limit { shortest = min(shortest, try await measure()) }
    return shortest
}
