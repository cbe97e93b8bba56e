#!/usr/bin/env escript
%%! +S 1:1 +SDio 1 +P 4000000
%% Erlang's side of timers_bench: its timers have a resolution of one millisecond. One run a row:
%% a million processes take their time.
-mode(compile).

main(Arguments) ->
    Scale = case Arguments of ["--small" | _] -> 1000; _ -> 1 end,
    sleep_all(999000 div Scale),
    measure("create_cancel", 2000000 div Scale, fun(Count) -> create_and_cancel(0, Count) end),
    measure("fire/n=1000000", 1000000 div Scale, fun fire/1).

measure(Name, Count, Work) ->
    {Before, _} = erlang:statistics(runtime),
    Checksum = Work(Count),
    {After, _} = erlang:statistics(runtime),
    io:format("~s ~.3f ns ~b~n", [Name, (After - Before) * 1.0e6 / Count, Checksum]).

%% The same pseudo-random number for N as in bench/measure.hpp.
scramble(N) ->
    A = N bxor (N bsr 16),
    B = (A * 16#45d9f3b) band 16#ffffffff,
    B bxor (B bsr 16).
length_ms(N) -> (500000 + scramble(N) rem 1000000) div 1000.

private_bytes() ->
    {ok, File} = file:open("/proc/self/statm", [read]),
    {ok, Line} = file:read_line(File),
    file:close(File),
    [_, Resident, Shared | _] = [list_to_integer(One) || One <- string:lexemes(string:trim(Line), " ")],
    (Resident - Shared) * 4096.

create_and_cancel(Count, Count) -> Count;
create_and_cancel(I, Count) ->
    Timer = erlang:send_after(length_ms(I), self(), late),
    true = is_integer(erlang:cancel_timer(Timer)),
    create_and_cancel(I + 1, Count).

fire(Count) ->
    Me = self(),
    [spawn(fun() -> receive after length_ms(I) -> Me ! woken end end) || I <- lists:seq(0, Count - 1)],
    collect(Count, 0).
collect(Count, Count) -> Count;
collect(Count, Seen) -> receive woken -> collect(Count, Seen + 1) end.

sleep_all(Count) ->
    Before = private_bytes(),
    All = [spawn(fun() -> receive stop -> ok after 3600000 -> ok end end) || _ <- lists:seq(1, Count)],
    Used = max(private_bytes() - Before, 0),
    io:format("sleeping_task/n=1000000 ~.3f bytes ~b~n", [Used / Count, Count]),
    [One ! stop || One <- All],
    ok.
