/* What the models share: the words of design §2, and who believes to hold the unit. */
#ifndef LEASES
#define LEASES 2
#endif
#define TICKETS 2
#define NOBODY LEASES

#define NONE 0
#define OFFERED 1
#define HELD 2
#define GONE 3
#define FREE 4
#define TAKEN 5
#define UNHEARD 6
#define CONFIRMING 7
#define QUEUED 8
#define LEASED 9
#define WITHDRAWN 10
#define RELEASED 11

/* Holders that count on a lease at this moment. */
bool believes[LEASES];
