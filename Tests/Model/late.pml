/* A coordinator's scripts that arrive after its next connection has opened (docs/decisions/0010).
 *
 * One coordinator, one holder: a lease that is answered again, then a lease of its that follows. Each connection begins
 * with a numbered heartbeat, and scripts name the last one that was sent before them. Those of the first connection may
 * arrive at any time; those of the second arrive in order and are answered.
 */
#define LEASES 2
#include "pool.h"

/* The agent: its lease, and the token in force. */
byte own = 0, inForce = 1;
/* Redis. */
byte record = 0, recordToken = 1, beaten = 1;
/* Under way on the first connection, with the number of its last heartbeat. */
byte again, release, sent = 1;
bool beat2;
/* On its way to the agent: token named and brought. */
byte names, brings;
/* The coordinator: its connection, and the token that it waits for. */
byte connection = 1, drawn = 1, awaited;
/* The client: the lease and the token that it counts on. */
byte counts = NOBODY, token;

inline beat(NUMBER) {
  if
#ifdef LATE_BEATS_COUNT
  :: true -> beaten = NUMBER
#else
  :: NUMBER > beaten -> beaten = NUMBER
#endif
  :: else
  fi
}
inline answerAgain(NUMBER, TOKEN) {
  if
#ifdef ANSWERS_LATE
  :: record != NOBODY -> names = recordToken; brings = TOKEN
#else
  :: NUMBER >= beaten && record != NOBODY -> names = recordToken; brings = TOKEN
#endif
  :: else
  fi
}
inline endLease() {
  assert(counts != own);  /* nothing but its own word ends the lease of who counts on it */
  own = NOBODY; record = NOBODY; inForce = 0
}

active proctype world() {
end:
  do
  /* What is sent on the first connection: an answer drawn anew, a release by the holder's name, another heartbeat. */
  :: d_step { connection == 1 && again == 0 -> drawn = 2; again = sent }
  :: d_step { connection == 1 && release == 0 -> release = sent }
  :: d_step { connection == 1 && sent == 1 -> beat2 = true; sent = 2 }
  :: d_step { connection == 1 -> connection = 2; beat(3) }
  /* It arrives. */
  :: d_step { again != 0 -> answerAgain(again, 2); again = 0; if :: connection == 1 -> awaited = 2 :: else fi }
  :: d_step { beat2 -> beat2 = false; beat(2) }
  :: d_step { release != 0 ->
       if
#ifdef RELEASES_LATE
       :: record != NOBODY -> endLease()
#else
       :: release >= beaten && record != NOBODY -> endLease()
#endif
       :: else
       fi;
       release = 0 }

  /* On the second connection. */
  :: d_step { connection == 2 && counts == NOBODY && own != NOBODY && drawn < 4 -> if :: drawn < 2 -> drawn = 3 :: else -> drawn++ fi; awaited = drawn; answerAgain(3, drawn) }
  /* The agent puts the token in force, and the answer is told where it is the one that is awaited. */
  :: d_step { brings != 0 ->
       if
       :: own != NOBODY && inForce == names ->
            assert(counts == NOBODY || brings == token);  /* nobody changes a holder's token behind its back */
            inForce = brings; recordToken = brings;
            if :: connection == 2 && awaited == brings -> counts = own; token = brings; awaited = 0 :: else fi
       :: else
       fi;
       names = 0; brings = 0 }
  /* The holder gives its lease back, and has another one. */
  :: d_step { connection == 2 && counts == 0 -> counts = NOBODY; own = NOBODY; record = NOBODY; inForce = 0 }
  :: d_step { connection == 2 && own == NOBODY && counts == NOBODY -> own = 1; record = 1; recordToken = 9; inForce = 9; counts = 1; token = 9 }
  od
}
