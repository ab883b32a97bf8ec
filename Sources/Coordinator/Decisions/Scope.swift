import LeaseModel

/// What a coordinator's calls mean where they name no place: the pool, or the host it stands on (design §7).
package enum Scope: Hashable, Sendable {
    case pool
    case host(HostID)

    /// Nil unless `text` is `pool`, or `host=` and a host's name.
    package init?(parsing text: String) {
        if text == "pool" {
            self = .pool
        } else if text.hasPrefix("host="), let host = try? HostID(String(text.dropFirst(5))) {
            self = .host(host)
        } else {
            return nil
        }
    }

    /// As `init(parsing:)` reads it.
    package var text: String {
        switch self {
        case .pool: "pool"
        case .host(let host): "host=\(host.text)"
        }
    }

    /// Where a request that names no place looks for a unit.
    var selectorScope: Selector.Scope {
        switch self {
        case .pool: .any
        case .host(let host): .host(host)
        }
    }

    func covers(_ unit: UnitID) -> Bool {
        switch self {
        case .pool: true
        case .host(let host): unit.host == host
        }
    }

    /// Whether a waiter with this selector might be served by a GPU in scope.
    func concerns(gpuSelector text: String) -> Bool {
        guard text.hasPrefix("gpu/") else { return false }
        guard case .host(let host) = self else { return true }
        let place = text.dropFirst(4).prefix { $0 != "?" }
        return place == "any" || place == "host=\(host.text)" || place.hasPrefix("unit=\(host.text)/")
    }
}
