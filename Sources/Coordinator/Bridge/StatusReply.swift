import JSON
import LeaseModel
import LeaseStore

/// The status of a pool as JSON, from a coordinator's own copy.
struct StatusReply {
    enum View: Equatable, Sendable { case full, brief }

    /// What the copy itself does not say.
    struct Setting: Sendable {
        /// The one that is shown in front, and the others that this coordinator serves.
        var pools: [PoolID]
        var scope: Scope
        var version: String
        var coordinator: InstanceID
        /// The pool's clock as far as it is known here, ms.
        var now: Int64
        /// Why what is shown is old; nil while it is current.
        var degradedReason: String?
        var age: Duration
    }

    private let mirror: PoolMirror
    private let setting: Setting
    private let waiters: [PoolMirror.Waiter]
    private let glance: PoolMirror.Glance

    /// - Parameter mirror: Keeps what it has looked for, for the next reply.
    init(_ mirror: inout PoolMirror, _ setting: Setting) {
        waiters = mirror.queue()
        glance = mirror.glance(setting.scope)
        self.mirror = mirror
        self.setting = setting
    }

    func body(_ view: View) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writeOriginal(to: &writer)
            writer.member("pool", setting.pools.first?.text)
            if setting.pools.count > 1 {
                writer.key("pools")
                writer.array { writer in for pool in setting.pools { writer.string(pool.text) } }
            }
            writer.member("scope", setting.scope.text)
            writer.member("version", setting.version)
            writer.member("coordinator", setting.coordinator.text)
            writer.seconds("now", milliseconds: setting.now)
            writer.member("degraded", setting.degradedReason != nil)
            writer.member("degraded_reason", setting.degradedReason)
            writer.member("age_ms", setting.age.milliseconds)
            guard view == .full else { return }
            writer.key("hosts")
            writer.array { writer in for host in mirror.hostOrder { write(host, to: &writer) } }
            writer.key("units")
            writer.array { writer in writeUnits(to: &writer) }
            writer.key("leases")
            writer.array { writer in
                for id in mirror.leaseOrder ?? mirror.leases.keys.sorted() { write(id, to: &writer) }
            }
            writer.key("waiters")
            writer.array { writer in writeWaiters(to: &writer) }
        }
        return writer.bytes
    }

    /// What the original bridge's clients read.
    private func writeOriginal(to writer: inout JSONWriter) {
        let queued = waiters.filter { setting.scope.concerns(gpuSelector: $0.selector) }
        writer.member("locked", glance.isLocked)
        writer.member("owner", glance.owner)
        writer.member("queue_depth", queued.count)
        writer.key("queued")
        writer.array { writer in for waiter in queued { writer.string(waiter.holder) } }
        writer.key("request_start_times")
        writer.object { writer in
            var told: Set<String> = []
            for waiter in queued where told.insert(waiter.holder).inserted {
                writer.seconds(waiter.holder, milliseconds: waiter.since)
            }
        }
    }

    private func write(_ id: HostID, to writer: inout JSONWriter) {
        guard let host = mirror.hosts[id] else { return }
        writer.object { writer in
            writer.member("host", id.text)
            writer.member("present", host.isPresent)
            writer.member("cordoned", host.isCordoned)
            writer.member("address", host.address)
            writer.member("agent_version", host.version)
            writer.key("labels")
            writer.object { writer in
                for (name, value) in host.labels.sorted(by: { $0.key < $1.key }) { writer.member(name, value) }
            }
            writer.key("units")
            writer.array { writer in for unit in host.units { writer.string(unit.text) } }
            writer.member("draining", host.isDraining)
            writer.seconds(
                "drain_ends_in", milliseconds: host.drainEnds.map { max(0, $0.milliseconds - setting.now) })
        }
    }

    private func writeUnits(to writer: inout JSONWriter) {
        if let list = mirror.unitList { return writer.json(list) }
        for id in mirror.unitOrder {
            if let text = mirror.unitBodies[id] ?? Self.text(of: id, in: mirror) { writer.json(text) }
        }
    }

    /// A unit as JSON; nil where the copy has none of that name.
    static func text(of id: UnitID, in mirror: PoolMirror) -> [UInt8]? {
        guard let unit = mirror.units[id], let texts = mirror.unitTexts[id] else { return nil }
        var text = texts.head
        text += ",\"state\":\"\(unit.state.rawValue)\",\"lease\":".utf8
        if let lease = unit.lease {
            // Names need no escapes.
            text += "\"\(lease.text)\",\"holder\":".utf8
            var holder = JSONWriter()
            if let name = mirror.leases[lease]?.holder { holder.string(name) } else { holder.null() }
            text += holder.bytes
        } else {
            text += "null,\"holder\":null".utf8
        }
        return text + texts.tail
    }

    private func write(_ id: LeaseID, to writer: inout JSONWriter) {
        let made = mirror.leaseBodies[id] ?? mirror.leases[id].map { Self.body(of: $0, now: setting.now) }
        guard let body = made else { return }
        // One object, of which the writer is told in pieces.
        writer.json(body.head)
        writer.seconds("expires_in", milliseconds: body.expires.map { max(0, $0 - setting.now) })
        writer.number("held_ms", body.granted.map { max(0, setting.now - $0) })
        writer.json(body.tail)
    }

    /// A lease as JSON. `now`, of the pool's clock in ms, matters only where somebody wants its unit.
    static func body(of lease: PoolMirror.Lease, now: Int64 = 0) -> PoolMirror.LeaseBody {
        var head = JSONWriter()
        head.object { writer in
            writer.member("lease", lease.lease.text)
            writer.member("unit", lease.lease.unit.text)
            writer.key("units")
            writer.array { writer in
                writer.string(lease.lease.unit.text)
                for unit in lease.also { writer.string(unit.text) }
            }
            writer.member("holder", lease.holder)
            writer.member("caller", lease.caller)
            writer.member("priority", lease.priority)
            writer.member("class", PriorityClass(ofValue: lease.priority).rawValue)
            writer.member("state", lease.state.rawValue)
            writer.seconds("ttl", milliseconds: lease.ttl)
            writer.seconds("granted_at", milliseconds: lease.granted)
        }
        var tail = JSONWriter()
        tail.object { writer in
            writer.key("metadata")
            if lease.metadata.isEmpty { writer.null() } else { writer.json(lease.metadata.utf8) }
            Asked.write(Asked(lease.preemption, poolNow: now), to: &writer)
        }
        return PoolMirror.LeaseBody(
            head: Array(head.bytes.dropLast()), granted: lease.granted, expires: lease.expires,
            tail: Array(tail.bytes.dropFirst()))
    }

    private func writeWaiters(to writer: inout JSONWriter) {
        var mirror = mirror  // whose queue is sorted already
        let expected = mirror.expectedWaits(at: setting.now)
        var places: [Substring: Int] = [:]
        for waiter in waiters {
            let place = places[waiter.kind, default: 0] + 1
            places[waiter.kind] = place
            writer.object { writer in
                writer.member("ticket", waiter.ticket.text)
                writer.member("holder", waiter.holder)
                writer.member("caller", waiter.caller)
                writer.member("priority", waiter.priority)
                writer.member("class", PriorityClass(ofValue: waiter.priority).rawValue)
                writer.member("selector", waiter.selector)
                writer.member("position", place)
                writer.member("score", waiter.score)
                writer.member("waited_ms", max(0, setting.now - waiter.since))
                writer.number("expected_wait_ms", expected[waiter.ticket])
                writer.member("coordinator", waiter.coordinator.text)
            }
        }
    }
}
