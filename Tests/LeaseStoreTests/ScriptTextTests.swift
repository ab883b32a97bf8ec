import Testing

@testable import LeaseStore

@Suite struct ScriptTextTests {
    private static let piece = """
        -- Piece: what scripts share; calls unused(
        local P = KEYS[1]
        local now, offset
        do
          now = tonumber(P)
        end
        local function inner(text)
          return text .. 'unused' -- unused
        end
        local function outer() return inner('x') end
        local function unused()
          return 1
        end
        local names = { 'one',
          'two' }
        local later
        local function early() return later() end
        function later() return 2 end

        """

    private func text(before body: String) -> String {
        var text = ScriptText()
        text.add(.init(Array(Self.piece.utf8)))
        return String(decoding: text.before(Array(body.utf8)), as: UTF8.self)
    }

    @Test func `a script gets what it names, and what that names`() {
        #expect(
            text(before: "return outer()") == """
                local P = KEYS[1]
                local now, offset
                do
                  now = tonumber(P)
                end
                local function inner(text)
                  return text .. 'unused' -- unused
                end
                local function outer() return inner('x') end
                return outer()
                """)
    }

    @Test func `a constant of several lines goes with its name`() {
        #expect(text(before: "return names").hasSuffix("local names = { 'one',\n  'two' }\nreturn names"))
    }

    @Test func `what is declared before it is made goes with its name`() {
        #expect(text(before: "return 1").contains("later") == false)
        #expect(
            text(before: "return early()").hasSuffix(
                "local later\nlocal function early() return later() end\nfunction later() return 2 end\nreturn early()")
        )
    }

    @Test func `words in comments and texts name nothing`() {
        #expect(!text(before: "return 'outer' -- names").contains("function"))
    }

    @Test func `the product's scripts go without what they do not call`() {
        let confirm = String(decoding: ScriptLibrary.confirm.source, as: UTF8.self)
        #expect(confirm.contains("local function lease_record(") && confirm.contains("local function warm("))
        #expect(!confirm.contains("function settle(") && !confirm.contains("function offer("))
    }
}
