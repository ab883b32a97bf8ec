/* Grants that do not arrive, requests taken up elsewhere, and whose word ends a lease (design §4.7, §4.8, §5, §6).
 *
 * One lease that its agent has confirmed, a client that has asked for it at one coordinator and may come back to the
 * same or another one with its `request_id`, and a Redis whose record may go back to an older copy or be lost. Words are
 * late by any time, lost, and pass each other. Once the client counts on the lease, nothing but its own release ends it.
 */
#include "pool.h"

#ifndef TOKENS
#define TOKENS 3
#endif
#define ABSENT 0
#define WAITING 1
#define DRAWING 2
#define AGAIN 3
#define DELIVERING 4
#define PARKED 5
#define NOWHERE 2

#define bit(token) (1 << (token))
#define has(set, token) ((set >> (token)) & 1)

/* Tokens are numbered in the order in which they are drawn; 0: none. */
byte drawn = 1;
/* The agent: the token in force, 0 when the lease has ended, and the coordinator that it knows of. */
byte inForce = 1, agentCoordinator;
/* Redis: the record, and the mark of an early end. It goes back once, to its first copy or to nothing. */
byte record = HELD, recordToken = 1, recordCoordinator, mark;
bool hasFailed;
/* On their way to the agent: ends by token, and one renewal of each coordinator with the token it names and brings. */
short ends;
byte renewNames[2], renewBrings[2];
/* On their way to the coordinators. */
bool granted = true;
byte renewed[2];
/* The coordinators: their waiter for this request, the tokens in doubt, the cancels on their way. */
byte waiter[2], token[2];
bool call[2];
short doubts[2], cancels[2];
/* The client: where its call is, what it counts on, and what it counted on before. */
byte callAt = NOWHERE, counts, earlier;

inline endAtAgent() {
  assert(counts == 0);  /* only its own release ends the lease of a client that counts on it */
  inForce = 0;
  /* nothing that comes after it matters */
  record = NONE; recordToken = 0; recordCoordinator = 0; mark = 0;
  ends = 0; granted = false; callAt = NOWHERE; earlier = 0;
  for (k : 0 .. 1) {
    renewNames[k] = 0; renewBrings[k] = 0; renewed[k] = 0; waiter[k] = ABSENT; token[k] = 0;
    call[k] = false; doubts[k] = 0; cancels[k] = 0 };
  k = 0; hasFailed = true
}
inline giveBack() {
  mark = recordToken;
  ends = ends | bit(recordToken);
  record = NONE; recordToken = 0; recordCoordinator = 0
}
/* A record that is behind the agent's token is behind in whose the ticket is as well. */
inline agree() {
#ifndef KEEPS_OLD_COORDINATOR
  if :: recordToken != inForce -> recordCoordinator = agentCoordinator :: else fi;
#endif
  recordToken = inForce
}
inline draw(C) {
  waiter[C] = DRAWING; token[C] = 0
}
inline giveUp(C) {
  cancels[C] = cancels[C] | doubts[C];
  doubts[C] = 0; waiter[C] = ABSENT; token[C] = 0
}
inline answer(C, TOKEN) {
  waiter[C] = DELIVERING; token[C] = TOKEN
}
inline stands(C) {
  if :: call[C] -> draw(C) :: else -> waiter[C] = PARKED fi
}

byte k;
active proctype world() {
  byte c, t;
  d_step { waiter[0] = WAITING; call[0] = true; callAt = 0; doubts[0] = bit(1); token[0] = 1; c = 0 };
end:
  do
  /* The client: its call breaks, which its coordinator notices sometime; it asks anywhere. */
  :: d_step { callAt != NOWHERE -> callAt = NOWHERE }
  :: atomic { c = 0; goto side }
  :: atomic { c = 1;
side:  if
       :: d_step { inForce != 0 && callAt == NOWHERE && counts == 0 ->
            callAt = c; call[c] = true;
            if
            :: waiter[c] == ABSENT ->
                 /* Ask.lua takes the ticket up from the other coordinator */
                 if
                 :: record == HELD -> recordCoordinator = c; draw(c)
                 :: else -> waiter[c] = WAITING; token[c] = 0
                 fi
            :: waiter[c] == DELIVERING || waiter[c] == PARKED -> draw(c)
#ifndef ANSWERS_AN_EARLIER_CALL
            /* what is under way for the call before proves nothing to this one: it may be another coordinator's by now */
            :: waiter[c] == WAITING -> token[c] = 0
            :: waiter[c] == AGAIN -> draw(c)
#endif
            :: else
            fi }
       :: d_step { call[c] && callAt != c ->
            call[c] = false;
            if
            :: waiter[c] == DELIVERING -> waiter[c] = PARKED
            :: else
            fi }
       /* A place is kept for 5 s only. A renewal under way is waited for. */
       :: d_step { waiter[c] != ABSENT && !call[c] && waiter[c] != DELIVERING -> giveUp(c) }
       /* The waiter asks again, or is told that the lease was restored. */
       :: d_step { (waiter[c] == WAITING || waiter[c] == AGAIN) && record == HELD && recordCoordinator == c -> stands(c) }
       :: d_step { waiter[c] == AGAIN && (record != HELD || recordCoordinator != c) -> waiter[c] = WAITING; token[c] = 0 }
       /* Asked again by its coordinator, or named in its heartbeat: moved. */
       :: d_step { waiter[c] != ABSENT && waiter[c] != DELIVERING && record == HELD && recordCoordinator != c ->
            waiter[c] = ABSENT; token[c] = 0; doubts[c] = 0; call[c] = false;
            if :: callAt == c -> callAt = NOWHERE :: else fi }

       /* AnswerAgain.lua */
       :: d_step { waiter[c] == DRAWING && record == HELD && recordCoordinator == c && drawn < TOKENS ->
#ifdef KEEPS_TOKEN
            t = recordToken;
#else
            drawn++; t = drawn;
#endif
            waiter[c] = AGAIN; token[c] = t; doubts[c] = doubts[c] | bit(t);
            renewNames[c] = recordToken; renewBrings[c] = t; t = 0 }
       :: d_step { waiter[c] == DRAWING && (record != HELD || recordCoordinator != c) -> waiter[c] = WAITING; token[c] = 0 }
       /* The agent puts the token in force, journals, and answers through Redis. */
       :: atomic { renewBrings[c] != 0 ->
            if
            :: d_step {
#ifndef RENEWS_BY_ANY_TOKEN
                 inForce == renewNames[c] &&
#endif
                 inForce != 0 ->
                 assert(counts == 0 || renewBrings[c] == counts);  /* nobody changes a holder's token behind its back */
                 inForce = renewBrings[c]; agentCoordinator = c }
               if
               :: d_step { renewed[c] = inForce; if :: record == HELD -> agree() :: else fi }
               :: true  /* the script is lost */
               fi
            :: else
            fi;
            renewNames[c] = 0; renewBrings[c] = 0 }
       :: d_step { renewBrings[c] != 0 -> renewNames[c] = 0; renewBrings[c] = 0 }
       :: d_step { renewed[c] != 0 ->
            if
#ifdef ANY_ANSWER
            :: waiter[c] == AGAIN ->
#else
            :: waiter[c] == AGAIN && token[c] == renewed[c] ->
#endif
                 doubts[c] = bit(token[c]);
                 if :: call[c] -> answer(c, token[c]) :: else -> waiter[c] = PARKED fi
            :: else
            fi;
            renewed[c] = 0 }
       /* The answer reaches the client. */
       :: d_step { waiter[c] == DELIVERING && callAt == c ->
            counts = token[c];
            waiter[c] = ABSENT; token[c] = 0; doubts[c] = 0; call[c] = false; callAt = NOWHERE;
            assert(inForce == counts) }
       /* Cancel.lua with each token in doubt */
       :: atomic { cancels[c] != 0 -> select (t : 1 .. TOKENS);
            if
            :: d_step { has(cancels[c], t) ->
                 cancels[c] = cancels[c] & ~bit(t);
                 if
#ifdef CANCELS_BY_TICKET
                 :: record == HELD -> giveBack()
#else
                 :: record == HELD && recordCoordinator == c && recordToken == t -> giveBack()
#endif
                 :: else
                 fi }
            :: else
            fi; t = 0 }
       :: else
       fi; c = 0 }

  /* The grant of the confirm, told by its heartbeat to a client that is there. */
  :: d_step { granted && inForce != 0 ->
       granted = false;
       if
       :: waiter[0] == WAITING && call[0] && token[0] == 1 && doubts[0] == bit(1) -> answer(0, 1)
       :: waiter[0] == WAITING && !(call[0] && token[0] == 1 && doubts[0] == bit(1)) -> stands(0)
       :: waiter[0] == ABSENT -> cancels[0] = cancels[0] | bit(1)
       :: else
       fi }

  /* The client forgets what it has, asks anew, and says a release of then late. */
  :: d_step { counts != 0 && drawn < TOKENS && earlier == 0 -> earlier = counts; counts = 0 }
  :: d_step { earlier != 0 ->
       if
#ifdef RELEASES_BY_ANY_TOKEN
       :: record == HELD -> giveBack()
#else
       :: record == HELD && recordToken == earlier -> giveBack()
#endif
       :: record == NONE -> mark = earlier
       :: else
       fi;
       earlier = 0 }

  /* Words reach the agent. */
  :: atomic { ends != 0 -> select (t : 1 .. TOKENS);
       if
       :: d_step { has(ends, t) ->
            ends = ends & ~bit(t);
            if
#ifdef ENDS_WITHOUT_TOKEN
            :: inForce != 0 -> endAtAgent()
#else
            :: inForce == t -> endAtAgent()
#endif
            :: else
            fi }
       :: else
       fi; t = 0 }
  /* The agent's heartbeat: Compare.lua */
  :: d_step { inForce != 0 ->
       if
#ifdef MARK_WITHOUT_TOKEN
       :: mark != 0 -> endAtAgent(); record = NONE
       :: mark == 0 && record == HELD -> agree()
       :: mark == 0 && record == NONE ->
#else
       :: mark == inForce -> endAtAgent(); record = NONE
       :: mark != inForce && record == HELD -> agree()
       :: mark != inForce && record == NONE ->
#endif
            record = HELD; recordToken = inForce; recordCoordinator = agentCoordinator
       fi }

  /* Redis goes back to its first copy, or forgets. */
  :: d_step { inForce != 0 && !hasFailed ->
       hasFailed = true; record = HELD; recordToken = 1; recordCoordinator = 0; mark = 0 }
  :: d_step { inForce != 0 && !hasFailed ->
       hasFailed = true; record = NONE; recordToken = 0; recordCoordinator = 0; mark = 0 }
  od
}
