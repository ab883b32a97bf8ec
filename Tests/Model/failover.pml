/* Sessions, unanswered confirms, words from a server that was left behind (design §2, §5, §6).
 *
 * Two servers: the first master, and a copy of it that lags and is promoted at any moment while the first lives on.
 * The copy stands as well for a restart from a snapshot and, where it has copied nothing yet, for a flush. Scripts and
 * messages are late by any time or lost. Time is not counted here: a lease's end by its agent's clock ends its holder's
 * belief first, which is what clocks.pml shows.
 */
#include "pool.h"

#define MASTER 0
#define COPY 1
#ifndef SESSIONS
#define SESSIONS 2
#endif

/* What a server has recorded of the unit, its leases and the tickets. */
typedef Server {
  byte unit;            /* UNHEARD, FREE, or TAKEN by `lease` */
  byte lease;
  byte record[LEASES];  /* NONE, OFFERED, HELD */
  byte mark[LEASES];    /* NONE, WITHDRAWN, RELEASED: the word that waits for the agent */
  byte ticket[TICKETS]; /* NONE, QUEUED, LEASED */
  byte session;         /* the session that speaks for the host, 0: none */
}
Server server[2];
/* Mail on its way from each server, with the session it was made for; 0: none. */
typedef Mail { byte offer[LEASES]; byte after[LEASES]; byte end[LEASES] }
Mail mail[2];
bool promoted;

/* The agent. Its two connections may lead to different servers. */
byte state = FREE, own = NOBODY;
byte session, commandAt, inboxAt;
bool open;

/* The leases. */
byte made;                     /* so many leases have been made */
byte ticketOf[LEASES];
byte confirmAt[LEASES];        /* 0: not on its way; else 1 + server */
byte confirmSession[LEASES];
byte answer[LEASES];           /* NONE, HELD, GONE: to a confirm, on its way back */
bool granted[LEASES], restored[LEASES], releasing[LEASES], over[LEASES];
bool answered[TICKETS];

inline mailOffer(S, L, A) { mail[S].offer[L] = server[S].session; mail[S].after[L] = A }
inline mailEnd(S, L) { mail[S].end[L] = server[S].session }

/* A free unit goes to the first waiter, where one is left in this small world. */
inline settle(S, A) {
  if
  :: server[S].session == 0 -> server[S].unit = UNHEARD; server[S].lease = NOBODY
  :: server[S].session != 0 && made < LEASES && server[S].ticket[0] == QUEUED -> makeOffer(S, 0, A)
  :: server[S].session != 0 && made < LEASES && server[S].ticket[0] != QUEUED && server[S].ticket[1] == QUEUED ->
       makeOffer(S, 1, A)
  :: else -> server[S].unit = FREE; server[S].lease = NOBODY
  fi
}
inline makeOffer(S, T, A) {
  ticketOf[made] = T;
  server[S].record[made] = OFFERED;
  server[S].unit = TAKEN; server[S].lease = made;
  server[S].ticket[T] = LEASED;
  mailOffer(S, made, A);
  made++
}
/* An offer is taken back, and its ticket queued again. */
inline withdraw(S, L) {
  server[S].record[L] = NONE;
  server[S].ticket[ticketOf[L]] = QUEUED;
#ifdef LAPSE_LEAVES_A_MARK
  server[S].mark[L] = WITHDRAWN;
#endif
  mailEnd(S, L)
}
inline release(S, L) {
  if
  :: server[S].record[L] == HELD ->
       server[S].record[L] = NONE; server[S].mark[L] = RELEASED;
       server[S].ticket[ticketOf[L]] = NONE;
       mailEnd(S, L);
       if :: server[S].lease == L -> settle(S, L) :: else fi
  :: server[S].record[L] == NONE -> server[S].mark[L] = RELEASED
  :: else
  fi
}

/* Whoever is told of a lease has the unit at its agent. */
inline tell(L) {
  answered[ticketOf[L]] = true;
  believes[L] = true;
  assert(own == L)
}
inline agentFrees(L) {
  assert(!believes[L]);  /* a unit becomes free only when nobody believes to hold it */
  state = FREE; own = NOBODY
}
/* The unit of lease l becomes free at this server: its agent says so. */
inline ended(S, L) {
  server[S].record[L] = NONE;
  if :: server[S].ticket[ticketOf[L]] == LEASED -> server[S].ticket[ticketOf[L]] = NONE :: else fi
}
/* What the record has on the unit gives way to the agent's word. */
inline dropRecord(S) {
  if
  :: server[S].lease != NOBODY && server[S].record[server[S].lease] == OFFERED -> withdraw(S, server[S].lease)
  :: server[S].lease != NOBODY && server[S].record[server[S].lease] == HELD -> ended(S, server[S].lease)
  :: else
  fi;
  server[S].unit = UNHEARD; server[S].lease = NOBODY
}
inline restore(S, L) {
  server[S].record[L] = HELD;
  server[S].unit = TAKEN; server[S].lease = L;
  server[S].ticket[ticketOf[L]] = LEASED;
  restored[L] = true
}

/* Compare.lua for the one unit. What it tells the calling agent comes back in `isHeard` answers only. */
inline compare(S, isFirst, isHeard) {
  if
  :: state == FREE ->
       if
       :: server[S].lease != NOBODY && server[S].record[server[S].lease] == OFFERED -> mailOffer(S, server[S].lease, NOBODY)
       :: server[S].lease != NOBODY && server[S].record[server[S].lease] == HELD -> dropRecord(S); settle(S, NOBODY)
       :: server[S].lease == NOBODY && server[S].unit != FREE -> settle(S, NOBODY)
       :: else
       fi
  :: state != FREE && server[S].mark[own] != NONE ->
       k = own;
       if
       :: server[S].lease == own -> dropRecord(S); settle(S, k)
       :: server[S].lease == NOBODY && server[S].unit != FREE -> settle(S, k)
       :: else
       fi;
       if :: isHeard -> agentFrees(k) :: else fi
  :: state == CONFIRMING && server[S].mark[own] == NONE && !isFirst
  :: state == CONFIRMING && server[S].mark[own] == NONE && isFirst ->
       if
#ifdef OFFERED_IS_WITHDRAWN
       :: server[S].lease == own && server[S].record[own] == OFFERED ->
            k = own;
            dropRecord(S); settle(S, NOBODY);
            if :: isHeard -> agentFrees(k) :: else fi
#else
       :: server[S].lease == own && server[S].record[own] == OFFERED ->
            restore(S, own);
            if :: isHeard -> state = HELD :: else fi
#endif
       :: else ->
#ifdef SILENCE_FREES
            if :: isHeard && server[S].record[own] == NONE -> agentFrees(own) :: else -> state = HELD fi
#else
            if :: server[S].lease != own -> dropRecord(S); restore(S, own) :: else fi;
            if :: isHeard -> state = HELD :: else fi
#endif
       fi
  :: state == HELD && server[S].mark[own] == NONE ->
       if
#ifdef UNKNOWN_ENDS
       :: server[S].record[own] == NONE ->
            if :: isHeard -> agentFrees(own) :: else fi
#else
       :: server[S].lease != own -> dropRecord(S); restore(S, own)
#endif
       :: server[S].lease == own && server[S].record[own] == OFFERED -> restore(S, own)
       :: else
       fi
  fi
}

/* A new session on new connections. Mail and answers of the one before count no more. */
inline connect(command, inbox) {
  session++;
  open = false;
  commandAt = command; inboxAt = inbox;
  forget()
}
inline forget() {
#ifndef MAIL_OF_ANY_SESSION
  for (k : 0 .. LEASES - 1) {
    mail[0].offer[k] = 0; mail[0].after[k] = 0; mail[0].end[k] = 0;
    mail[1].offer[k] = 0; mail[1].after[k] = 0; mail[1].end[k] = 0;
    answer[k] = NONE
  };
#endif
  k = 0
}

#ifdef MAIL_OF_ANY_SESSION
#define FOR_US(number) (number != 0)
#else
#define FOR_US(number) (number != 0 && number == session)
#endif

inline confirm(L) {
  state = CONFIRMING; own = L;
  confirmAt[L] = 1 + commandAt; confirmSession[L] = session
}

inline consider(S, L) {
  if
  :: state == FREE -> confirm(L)
  :: state == HELD && own != L && mail[S].after[L] == own ->
       assert(!believes[own]);
       confirm(L)
#ifdef UNANSWERED_IS_FREE
  :: state == CONFIRMING && own != L -> confirm(L)
#endif
  :: else ->  /* rejected: the ticket goes back, the unit waits for the heartbeat that follows */
       if
       :: own != L && server[commandAt].session == session && server[commandAt].record[L] == OFFERED ->
            server[commandAt].record[L] = NONE;
            server[commandAt].ticket[ticketOf[L]] = QUEUED;
            if :: server[commandAt].lease == L -> server[commandAt].unit = UNHEARD; server[commandAt].lease = NOBODY :: else fi
       :: else
       fi
  fi;
  mail[S].offer[L] = 0; mail[S].after[L] = 0
}

byte k;
active proctype world() {
  byte s, l, t;
  d_step {
    for (l : 0 .. LEASES - 1) { ticketOf[l] = 0 };
    mail[0].after[0] = 0;
    server[0].lease = NOBODY; server[1].lease = NOBODY;
    session = 1; l = 0
  };
end:
  do
  /* Any server that runs: a request is asked for, or asked for again. */
  :: atomic { select (s : 0 .. 1); select (t : 0 .. TICKETS - 1);
       if
       :: d_step { (s == MASTER || promoted) && server[s].ticket[t] == NONE && !answered[t] ->
            if
            :: server[s].unit == FREE && made < LEASES -> makeOffer(s, t, NOBODY)
            :: else -> server[s].ticket[t] = QUEUED
            fi }
       :: else
       fi; s = 0; t = 0 }

  /* Replication, and its end. */
  :: d_step { !promoted ->
       server[COPY].unit = server[MASTER].unit; server[COPY].lease = server[MASTER].lease;
       server[COPY].session = server[MASTER].session;
       for (l : 0 .. LEASES - 1) {
         server[COPY].record[l] = server[MASTER].record[l]; server[COPY].mark[l] = server[MASTER].mark[l] };
       server[COPY].ticket[0] = server[MASTER].ticket[0]; server[COPY].ticket[1] = server[MASTER].ticket[1];
       l = 0 }
  :: d_step { !promoted -> promoted = true }

  /* An offer lapses, by a heartbeat of any coordinator at that server. */
  :: atomic { select (l : 0 .. LEASES - 1); select (s : 0 .. 1);
       if
       :: server[s].record[l] == OFFERED && (s == MASTER || promoted) ->
            d_step {
              withdraw(s, l);
              if :: server[s].lease == l -> server[s].unit = UNHEARD; server[s].lease = NOBODY :: else fi }
       :: else
       fi; l = 0; s = 0 }

  /* The agent connects anew, with or without a restart from its journal; then the first heartbeat runs. */
  :: d_step { session < SESSIONS -> connect(MASTER, MASTER) }
  :: d_step { session < SESSIONS && promoted -> connect(COPY, COPY) }
  /* Its inbox alone is cut and opened again, where the address now leads. */
  :: d_step { promoted && inboxAt == MASTER && session < SESSIONS ->
#ifdef INBOX_KEEPS_SESSION
       inboxAt = COPY
#else
       connect(commandAt, COPY)
#endif
     }
  :: atomic { !open && session > server[commandAt].session ->
       server[commandAt].session = session;
       if
       :: d_step { open = true; compare(commandAt, true, true) }
       :: d_step { compare(commandAt, true, false) }  /* its answer is lost */
       fi }
  :: d_step { open && server[commandAt].session == session && (own == NOBODY || confirmAt[own] == 0) ->
       compare(commandAt, false, true) }

  /* Mail reaches the agent. */
  :: atomic { open -> select (l : 0 .. LEASES - 1);
       if
       :: d_step { FOR_US(mail[inboxAt].offer[l]) && state != CONFIRMING -> consider(inboxAt, l) }
#ifdef UNANSWERED_IS_FREE
       :: d_step { FOR_US(mail[inboxAt].offer[l]) && state == CONFIRMING -> consider(inboxAt, l) }
#endif
       :: d_step { FOR_US(mail[inboxAt].end[l]) ->
            mail[inboxAt].end[l] = 0;
            if :: own == l -> agentFrees(l) :: else fi }
#ifdef MAIL_OF_ANY_SESSION
       :: d_step { FOR_US(mail[1 - inboxAt].end[l]) ->
            mail[1 - inboxAt].end[l] = 0;
            if :: own == l -> agentFrees(l) :: else fi }
#endif
       :: else
       fi; l = 0 }

  /* A confirm runs, however late, at the server it was sent to; its answer comes or is lost. */
  :: atomic { select (l : 0 .. LEASES - 1);
       if
       :: d_step { confirmAt[l] != 0 ->
            s = confirmAt[l] - 1;
            confirmAt[l] = 0;
            if
            :: server[s].session != confirmSession[l]
            :: server[s].session == confirmSession[l] && server[s].record[l] == OFFERED ->
                 server[s].record[l] = HELD; granted[l] = true;
                 if :: session == confirmSession[l] -> answer[l] = HELD :: else fi
            :: else -> if :: session == confirmSession[l] -> answer[l] = GONE :: else fi
            fi; s = 0 }
       :: d_step { answer[l] != NONE && own == l && state == CONFIRMING ->
            if
            :: answer[l] == HELD -> state = HELD
            :: answer[l] == GONE -> agentFrees(l); over[l] = true
            fi;
            answer[l] = NONE }
       :: else
       fi; l = 0 }

  /* A coordinator tells its client of a grant, or gives it back where nobody waits for it. */
  :: atomic { select (l : 0 .. LEASES - 1);
       if
       :: d_step { granted[l] ->
            granted[l] = false;
            if
            :: over[l]
            :: !over[l] && !answered[ticketOf[l]] -> tell(l)
            :: !over[l] && answered[ticketOf[l]] && !believes[l] -> releasing[l] = true
            :: else
            fi }
       :: d_step { restored[l] ->
            restored[l] = false;
            /* answered as a renewal: only through the agent that has it */
            if :: own == l && !answered[ticketOf[l]] && !over[l] -> tell(l) :: else fi }
       /* Its holder gives it back. */
       :: d_step { believes[l] -> believes[l] = false; over[l] = true; releasing[l] = true }
       :: d_step { releasing[l] -> releasing[l] = false; release(MASTER, l) }
       :: d_step { releasing[l] && promoted -> releasing[l] = false; release(COPY, l) }
       :: else
       fi; l = 0 }

  /* Its time is over at the agent, and so was before that its holder's. */
  :: d_step { own != NOBODY ->
       l = own; believes[l] = false; over[l] = true; agentFrees(l);
       if
       :: open && server[commandAt].session == session && server[commandAt].record[l] != NONE ->
            ended(commandAt, l);
            if :: server[commandAt].lease == l -> settle(commandAt, NOBODY) :: else fi
       :: else
       fi; l = 0 }
  od
}
