#!/usr/bin/env escript
%%! +S 2:2
%% Erlang's side of tasks_mt_bench: two processes, each bound to a scheduler, and messages.
-mode(compile).

main(Arguments) ->
    Scale = case Arguments of ["--small" | _] -> 1000; _ -> 1 end,
    measure("ping_pong", 10000 div Scale, fun ping_pong/1),
    measure("post", 1000000 div Scale, fun post_many/1).

measure(Name, Count, Work) ->
    Work(Count div 16 + 1),
    Runs = [begin
                Before = erlang:monotonic_time(nanosecond),
                Checksum = Work(Count),
                {(erlang:monotonic_time(nanosecond) - Before) / Count, Checksum}
            end || _ <- [1, 2, 3]],
    {Took, Sum} = lists:nth(2, lists:sort(Runs)),
    io:format("~s ~.3f ns ~b~n", [Name, Took, Sum]).

%% The work runs in a process on the first scheduler; its partner lives on the second.
on_scheduler(Number, Work) -> spawn_opt(Work, [{scheduler, Number}]).
in_process(Work) ->
    Me = self(),
    on_scheduler(1, fun() -> Me ! {result, Work()} end),
    receive {result, Value} -> Value end.

ping_pong(Count) ->
    in_process(fun() ->
        Other = on_scheduler(2, fun give_back/0),
        Played = play(Other, Count, 0),
        Other ! stop,
        Played
    end).
play(_, Count, Count) -> Count;
play(Other, Count, Played) ->
    Other ! {ball, self()},
    receive ball -> play(Other, Count, Played + 1) end.
give_back() -> receive {ball, From} -> From ! ball, give_back(); stop -> ok end.

post_many(Count) ->
    in_process(fun() ->
        Me = self(),
        Other = on_scheduler(2, fun() -> Me ! {received, run_posts(Count, 0)} end),
        send(Other, Count),
        receive {received, Seen} -> Seen end
    end).
send(_, 0) -> ok;
send(Other, Left) -> Other ! {post, fun() -> 1 end}, send(Other, Left - 1).
run_posts(Count, Count) -> Count;
run_posts(Count, Seen) -> receive {post, Work} -> run_posts(Count, Seen + Work()) end.
