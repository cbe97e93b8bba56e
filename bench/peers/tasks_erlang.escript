#!/usr/bin/env escript
%%! +S 1:1 +SDio 1 +P 4000000
%% Erlang's side of tasks_bench: processes on one scheduler. To call a function is no wait in Erlang,
%% so there is no row for that.
-mode(compile).

main(Arguments) ->
    Scale = case Arguments of ["--small" | _] -> 1000; _ -> 1 end,
    measure("spawn_await", 2000000 div Scale, fun spawn_and_await/1),
    measure("spawn_join/n=1000000", 1000000 div Scale, fun spawn_many/1),
    measure("yield", 8000000 div Scale, fun yield_between_two/1),
    measure("when_all_two", 1000000 div Scale, fun join_two/1).

%% The median of three, charged by the processor time of the whole machine of Erlang.
measure(Name, Count, Work) ->
    Work(Count div 16 + 1),
    Runs = [begin
                {Before, _} = erlang:statistics(runtime),
                Checksum = Work(Count),
                {After, _} = erlang:statistics(runtime),
                {(After - Before) * 1.0e6 / Count, Checksum}
            end || _ <- [1, 2, 3]],
    {Took, Sum} = lists:nth(2, lists:sort(Runs)),
    io:format("~s ~.3f ns ~b~n", [Name, Took, Sum]).

spawn_and_await(Count) -> spawn_and_await(0, Count, self(), 0).
spawn_and_await(Count, Count, _, Sum) -> Sum;
spawn_and_await(I, Count, Me, Sum) ->
    spawn(fun() -> Me ! {value, I} end),
    receive {value, Value} -> spawn_and_await(I + 1, Count, Me, Sum + Value) end.

spawn_many(Count) ->
    Me = self(),
    [spawn(fun() -> Me ! done end) || _ <- lists:seq(1, Count)],
    collect(Count, 0).
collect(Count, Count) -> Count;
collect(Count, Seen) -> receive done -> collect(Count, Seen + 1) end.

yield_between_two(Count) ->
    Me = self(),
    [spawn(fun() -> Me ! {turns, take_turns(Count div 2, 0)} end) || _ <- [1, 2]],
    receive {turns, One} -> receive {turns, Other} -> One + Other end end.
take_turns(0, Turns) -> Turns;
take_turns(Left, Turns) ->
    erlang:yield(),
    take_turns(Left - 1, Turns + 1).

join_two(Count) -> join_two(0, Count, self(), 0).
join_two(Count, Count, _, Sum) -> Sum;
join_two(I, Count, Me, Sum) ->
    spawn(fun() -> Me ! {one, I} end),
    spawn(fun() -> Me ! {other, 2 * I} end),
    receive {one, One} -> receive {other, Other} -> join_two(I + 1, Count, Me, Sum + One + Other) end end.
