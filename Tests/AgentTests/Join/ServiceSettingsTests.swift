import Testing

@testable import Agent

@Suite struct `The settings of the agent's service` {
    private static let packaged = """
        # The pool's Redis.
        #LEASEHOLD_REDIS=redis://127.0.0.1:6379

        # Labels.
        #LEASEHOLD_LABEL=zone=a,rack=7

        """

    @Test func `get a line behind the comment that shows it`() {
        var settings = ServiceSettings(Self.packaged)
        settings.set("LEASEHOLD_REDIS", to: "redis://10.0.0.5:6379/0")
        settings.set("LEASEHOLD_POOL", to: "lab")
        #expect(
            settings.text == """
                # The pool's Redis.
                #LEASEHOLD_REDIS=redis://127.0.0.1:6379
                LEASEHOLD_REDIS=redis://10.0.0.5:6379/0

                # Labels.
                #LEASEHOLD_LABEL=zone=a,rack=7
                LEASEHOLD_POOL=lab

                """)
        #expect(ServiceSettings(settings.text) == settings)
    }

    @Test func `set a thing once, where it last was`() {
        var settings = ServiceSettings("A=1\nLEASEHOLD_REDIS=x\nB=2\n LEASEHOLD_REDIS = y\nC=3")
        #expect(settings["LEASEHOLD_REDIS"] == "y" && settings["B"] == "2" && settings["LEASEHOLD"] == nil)
        settings.set("LEASEHOLD_REDIS", to: "z")
        #expect(settings.text == "A=1\nB=2\nLEASEHOLD_REDIS=z\nC=3\n")
    }

    @Test(
        arguments: [
            ("R=a", "a"), ("R=\"a\"", "a"), ("R='a b'", "a b"), ("R= a ", "a"), ("R=a\r", "a"), ("R=", ""),
            ("R=\"", "\""),
            ("R=a=b", "a=b"), ("#R=a", nil), ("# R=a", nil), ("RR=a", nil), ("R", nil), ("", nil),
        ] as [(String, String?)])
    func `are read as the service reads them`(text: String, value: String?) {
        #expect(ServiceSettings(text)["R"] == value)
    }

    @Test func `are known to contradict what is wanted`() {
        let settings = ServiceSettings("R=a\nP=\"lab\"\n#Q=1\n")
        #expect(settings.contradicting([("R", "a"), ("P", "lab"), ("Q", "2")]).isEmpty)
        #expect(settings.contradicting([("R", "b"), ("P", "night"), ("Q", "2")]) == ["R", "P"])
    }
}
