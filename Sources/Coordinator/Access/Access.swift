import HTTP
import LeaseModel

/// Who may do what: judges each request before anything else looks at it. A value, replaced whole when its settings are
/// read again.
struct Access: Sendable {
    /// What becomes of a request. `cors` is the foreign origin that may read the answer, also a refusal.
    enum Verdict: Hashable, Sendable {
        case allowed(Caller, cors: String?)
        case refused(AccessRefusal, cors: String?)
    }

    /// Nil where none are configured: then every process of this machine may do everything.
    private let tokens: TokenList?
    private let origins: OriginRules
    private let hosts: HostRules
    private let pool: PoolID
    /// Nil where being a user of this machine proves nothing.
    private let socketRoles: SocketRoles?

    /// - Parameters:
    ///   - hosts: Names that this coordinator is called by, such as that of a proxy in front.
    ///   - addresses: Where it listens, `HOST` or `HOST:PORT`.
    init(
        tokens: TokenList?, origins: OriginRules = .standard, hosts: [String] = [], addresses: [String] = [],
        pool: PoolID = .standard, socketRoles: SocketRoles? = nil
    ) {
        self.tokens = tokens
        self.origins = origins
        self.hosts = HostRules(names: hosts, addresses: addresses)
        self.pool = pool
        self.socketRoles = socketRoles
    }

    /// Judges a request. Pure; hashes once where there are tokens and the path asks for one, else allocates nothing for
    /// requests of programs.
    func judge(_ request: AccessRequest) -> Verdict {
        // Programs send any Host; pages send the one that their own name led to. Without tokens there is nothing else
        // to tell a rebound page from a program, since its reading requests carry no Origin.
        if tokens == nil || request.origin != nil, let host = request.host, !hosts.allow(host) {
            return .refused(.wrongHost(host), cors: nil)
        }
        var cors: String?
        switch page(behind: request) {
        case .none, .own: break
        case .listed(let origin): cors = origin
        case .foreign(let refusal):
            if request.changesState || request.permission != nil { return .refused(refusal, cors: nil) }
        }
        guard request.method != .options, let permission = request.permission else {
            return .allowed(tokens == nil && socketRoles == nil ? .local : .anonymous, cors: cors)
        }
        switch caller(of: request, permission) {
        case .success(let caller): return .allowed(caller, cors: cors)
        case .failure(let refusal): return .refused(refusal, cors: cors)
        }
    }

    // MARK: Pages

    private enum Page {
        /// No page, as far as the request tells.
        case none
        case own
        case listed(String)
        case foreign(AccessRefusal)
    }

    private func page(behind request: AccessRequest) -> Page {
        guard let text = request.origin else {
            switch request.fetchSite {
            case nil, "none", "same-origin": return .none
            // Another port of the same host: reading it tells that page nothing.
            case "same-site": return request.changesState ? .foreign(.crossSite) : .none
            case .some: return .foreign(.crossSite)
            }
        }
        guard let origin = WebOrigin(text) else { return .foreign(.wrongOrigin(text)) }
        if isOwn(origin, request) { return .own }
        return origins.allow(origin) ? .listed(text) : .foreign(.wrongOrigin(text))
    }

    /// Whether a page of this origin was served under the request's own host. A proxy in front may have taken TLS off.
    private func isOwn(_ origin: WebOrigin, _ request: AccessRequest) -> Bool {
        guard let host = request.host, origin.scheme == "https" || (origin.scheme == "http" && !request.isSecure)
        else { return false }
        return WebOrigin(scheme: origin.scheme, authority: host) == origin
    }

    // MARK: Callers

    private func caller(
        of request: AccessRequest, _ permission: Permission
    ) -> Result<Caller, AccessRefusal> {
        if request.peer == .unix, let socketRoles, tokens == nil || request.authorization == nil {
            return user(behind: request, socketRoles, permission)
        }
        guard let tokens else {
            guard request.peer != .other, socketRoles == nil else { return .failure(.notThisMachine) }
            var local = Caller.local
            if case .process = request.client { local.user = request.userName }
            return .success(local)
        }
        let caller: Caller
        // A token is sent on purpose; a certificate is shown to whoever asks for one.
        if let header = request.authorization {
            guard case .bearer(let token) = Authorization(header) else { return .failure(.malformedToken) }
            guard let found = tokens.caller(of: token) else { return .failure(.unknownToken) }
            caller = found
        } else {
            guard case .certificate(let subject) = request.client else { return .failure(.noToken) }
            guard let found = tokens.caller(ofSubject: subject) else { return .failure(.unknownSubject(subject)) }
            caller = found
        }
        if let theirs = caller.pool, theirs != pool {
            return .failure(.otherPool(caller: caller.name, theirs: theirs.text, ours: pool.text))
        }
        guard caller.roles.allow(permission) else {
            return .failure(.role(caller: caller.name, roles: caller.roles, needs: permission.leastRole))
        }
        return .success(caller)
    }

    /// The user of this machine that has opened the socket. A proxy's own user is not who it speaks for.
    private func user(
        behind request: AccessRequest, _ socketRoles: SocketRoles, _ permission: Permission
    ) -> Result<Caller, AccessRefusal> {
        guard case .process(let user, let groups) = request.client, !request.isForwarded else {
            return .failure(tokens == nil ? .forwarded : .noToken)
        }
        let roles = socketRoles.roles(user: user, groups: groups)
        guard !roles.isEmpty else { return .failure(.noSocketRole(request.userName)) }
        guard roles.allow(permission) else {
            return .failure(.role(caller: request.userName, roles: roles, needs: permission.leastRole))
        }
        return .success(Caller(name: request.userName, roles: roles))
    }

    // MARK: At the start

    /// Why a coordinator must not listen there, nil where it may: without tokens it serves its own machine alone.
    ///
    /// - Parameter addresses: `HOST`, `HOST:PORT`, or the path of a unix socket, with or without `unix:` before it.
    static func refusalToListen(
        on addresses: [String], tokens: TokenList?, socketRoles: SocketRoles? = nil
    ) -> String? {
        guard tokens == nil else { return nil }
        if socketRoles != nil, let tcp = addresses.first(where: { !$0.hasPrefix("/") && !$0.hasPrefix("unix:") }) {
            return
                "--socket-role says who may do what on unix sockets, and at \(TokenFile.quoted(tcp)) nobody is known "
                + "without tokens. Name a file of them with --tokens PATH, or listen on unix: sockets alone."
        }
        let isLocal = { (address: String) in
            address.hasPrefix("/") || address.hasPrefix("unix:")
                || HostRules.isLoopback(HostRules.host(ofAuthority: address))
        }
        guard let open = addresses.first(where: { !isLocal($0) }) else { return nil }
        return "\(TokenFile.quoted(open)) can be reached from other machines, and without tokens everybody there could "
            + "free everybody's GPUs. Create one with \"leasehold token create NAME --role client --file PATH\" and name "
            + "the file with --tokens PATH, or listen on 127.0.0.1."
    }
}

extension AccessRefusal: Error {}
